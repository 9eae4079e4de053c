package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Patience with processes.
const (
	pollEvery    = 10 * time.Millisecond // how often a file or process is looked at
	fastPatience = 20 * time.Second      // for a fast shutdown: one checkpoint
	killPatience = 5 * time.Second       // for anything that needs no disk
)

// pidFileName is where a server says who it is and how far it got.
const pidFileName = "postmaster.pid"

// readPidFile returns the process id and the status word in the cluster's
// postmaster.pid, zero values when there is none or it is half written.
// Source: PostgreSQL, src/include/utils/pidfile.h (line 1 pid, line 8 status).
func readPidFile(dir string) (pid int, status string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, pidFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	lines := strings.Split(string(b), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return 0, "", nil //nolint:nilerr // half written: the writer is at it, or died
	}
	if len(lines) >= 8 {
		status = strings.TrimSpace(lines[7])
	}
	return pid, status, nil
}

// sharedMemory returns the id of the System V segment that the cluster's server
// holds as a mark of life, 0 when postmaster.pid names none (line 7: key, id).
func sharedMemory(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, pidFileName))
	lines := strings.Split(string(b), "\n")
	if err != nil || len(lines) < 7 {
		return 0
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return 0
	}
	id, _ := strconv.Atoi(fields[1]) // 0 for a line that is no id
	return id
}

// clearLeftover makes the cluster in dir ready to start again after a program
// that did not stop it. The caller holds the folder's lock, so a server that still
// runs has no owner any more: it is asked to stop, and ended when it does not.
func clearLeftover(ctx context.Context, log *slog.Logger, dir string) error {
	pids, err := serversOn(dir)
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		log.InfoContext(ctx, "a PostgreSQL of an earlier run is still there: it is stopped first", "pids", pids)
	}
	for _, step := range []struct {
		signal   syscall.Signal
		patience time.Duration
	}{
		{syscall.SIGINT, fastPatience},  // fast shutdown
		{syscall.SIGQUIT, killPatience}, // immediate: the log of changes is replayed at the start
		{syscall.SIGKILL, killPatience},
	} {
		gone, err := endServers(ctx, dir, step.signal, step.patience)
		if err != nil {
			return err
		}
		if gone {
			return removeIfThere(filepath.Join(dir, pidFileName))
		}
	}
	return fmt.Errorf("a PostgreSQL of an earlier run on %s does not end, not even by kill -9: %w", dir, os.ErrDeadlineExceeded)
}

// endServers signals everything that runs on the cluster, then waits until all of
// it is gone or patience is over.
func endServers(ctx context.Context, dir string, s syscall.Signal, patience time.Duration) (gone bool, err error) {
	pids, err := serversOn(dir)
	if err != nil {
		return false, err
	}
	for _, pid := range pids {
		if err := signal(pid, s); err != nil {
			return false, err
		}
	}
	return waitGone(ctx, dir, patience)
}

// waitGone waits until nothing runs on the cluster any more.
func waitGone(ctx context.Context, dir string, patience time.Duration) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		pids, err := serversOn(dir)
		if err != nil || len(pids) == 0 {
			return err == nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, nil
		}
	}
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
