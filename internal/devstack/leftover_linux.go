package devstack

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// serversOn returns the processes of a PostgreSQL that runs on the cluster in
// dir: the server's own and those it forked, which outlive it for a moment when it
// is killed. A process counts by what it is, never by its id alone: an id in a
// stale postmaster.pid belongs to somebody else by now.
func serversOn(dir string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && servesCluster(filepath.Join("/proc", entry.Name()), dir) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// servesCluster reports whether the process at proc is a postgres that works in
// dir, or was started for it. Reading fails for a process that just ended.
func servesCluster(proc, dir string) bool {
	comm, err := os.ReadFile(filepath.Join(proc, "comm"))
	if err != nil || strings.TrimSpace(string(comm)) != "postgres" {
		return false
	}
	if cwd, err := os.Readlink(filepath.Join(proc, "cwd")); err == nil && strings.TrimSuffix(cwd, " (deleted)") == dir {
		return true
	}
	// A root without CAP_SYS_PTRACE may not read cwd; the arguments are public.
	cmdline, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(string(cmdline), "\x00")
	at := slices.Index(args, "-D")
	return at >= 0 && at+1 < len(args) && args[at+1] == dir
}

// freeSharedMemory removes the segment that a killed server could not: 56 bytes,
// but a machine has room for 4096 of them, and a crash test leaves one each time.
// The next start of the cluster would remove it, too. Best effort.
func freeSharedMemory(dir string) {
	id := sharedMemory(dir)
	if id == 0 {
		return
	}
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil || segment.Nattch > 0 {
		return // gone, or the id is in use by somebody else now
	}
	_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
}
