package postgres

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unacknowledged is how long what we sent may stay without an answer from the
// server's kernel before the connection is given up; Linux itself tries for 15
// minutes (tcp(7), TCP_USER_TIMEOUT).
const unacknowledged = 30 * time.Second

func limitUnacknowledged(network, _ string, raw syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledged.Milliseconds()))
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
