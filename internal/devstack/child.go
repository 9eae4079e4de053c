package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command prepares a program of the server's package. Its environment is bare:
// PGDATA, PGOPTIONS and the caller's locale are none of its business. It starts in
// the root folder, because it may not enter ours before the kernel has granted its
// capabilities, which happens last.
func command(ctx context.Context, a account, dir string, deathSignal syscall.Signal, program string, args ...string) (*exec.Cmd, error) {
	attr, err := childAttr(a, dir, deathSignal)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attr
	cmd.WaitDelay = 10 * time.Second // a grandchild may keep the output open
	return cmd, nil
}

// run carries out a short program; on failure the error has its last words.
func run(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	runtime.LockOSThread() // see start
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, lastLines(out.String()))
	}
	return nil
}

// start launches cmd and calls ended once it is over. Linux sends the death
// signal when the *thread* that forked ends, and Go ends threads at will: so one
// goroutine keeps that thread from the fork until the child is gone.
func start(cmd *exec.Cmd, ended func(error)) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended(cmd.Wait())
		}
	}()
	return <-started
}

// signal sends s to a process that may be gone already.
func signal(pid int, s syscall.Signal) error {
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %d: %w", pid, err)
	}
	return nil
}

// lastLines returns the end of a program's output, where the reason stands.
func lastLines(text string) string {
	const most = 12
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
