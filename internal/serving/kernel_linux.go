package serving

import "golang.org/x/sys/unix"

// refuseNew has the kernel drop what asks for a new connection, and lets the
// handshakes that have begun come to their end: closing a socket resets whatever
// was accepted by the kernel and not yet by us, though its client may have sent a
// request. Such a client tries again within a second and is then refused. It
// reports whether the kernel took the filter: in some sandboxes it does not.
//
// A filter of a listening socket sees the TCP header first (socket(7), tcp(7)); its
// byte 13 holds the flags (RFC 9293, 3.1).
func (d *door) refuseNew() bool {
	const syn = 0x02
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},          // drop
		{Code: unix.BPF_RET | unix.BPF_K, K: ^uint32(0)}, // take
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	raw, err := d.SyscallConn()
	if err != nil {
		return false
	}
	taken := false
	err = raw.Control(func(fd uintptr) {
		taken = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program) == nil
	})
	return err == nil && taken
}

// unread reports whether the kernel holds bytes of the client that nobody has read:
// a request has arrived, and the machine is too busy to have begun with it.
func (c *conn) unread() (any bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // fails only when the connection is closed
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		any = err == nil && n > 0
	})
	return any
}

// queued is how many connections the kernel has accepted and we have not: of a
// listening socket, tcpi_unacked (Linux, net/ipv4/tcp.c, tcp_get_info). 0 when it
// cannot be read.
func (d *door) queued() (n uint32) {
	raw, err := d.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // fails only when the socket is closed
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO); err == nil {
			n = info.Unacked
		}
	})
	return n
}
