package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-gems/sluice/internal/devstack"
)

const (
	// startPatience bounds the start of one process on a busy machine.
	startPatience = time.Minute
	// stopPatience is how long a process may drain before it is killed.
	stopPatience = 40 * time.Second
	pollEvery    = 20 * time.Millisecond
	// logMax is where a process's log begins anew: a soak writes hundreds of megabytes.
	logMax = 64 << 20
)

// child is a process of ours. It ends with us at the latest.
type child struct {
	name  string
	cmd   *exec.Cmd
	log   string        // path
	input io.Closer     // stays open for as long as we want it to run
	done  chan struct{} // closed once it is over
	err   error         // how; written before done is closed
}

// startChild starts sluice with args. What it writes goes to a file in dir.
func startChild(name, program, dir string, env []string, args ...string) (*child, error) {
	c := &child{name: name, cmd: exec.Command(program, args...), log: filepath.Join(dir, name+".log"), done: make(chan struct{})} //nolint:noctx // it is stopped in order
	log, err := os.OpenFile(c.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = env, log, log
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := devstack.StartChild(c.cmd, func(err error) { c.err = err; close(c.done) }); err != nil {
		return nil, fmt.Errorf("start sluice %s: %w", name, err)
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// failed returns why a process that should run does not.
func (c *child) failed() error {
	select {
	case <-c.done:
		return fmt.Errorf("sluice %s ended (%w); its log ends with:\n%s", c.name, orExited(c.err), c.tail())
	default:
		return nil
	}
}

func orExited(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// await returns once ready says so.
func (c *child) await(ctx context.Context, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !ready(ctx) {
		select {
		case <-ticker.C:
		case <-c.done:
			return c.failed()
		case <-ctx.Done():
			return fmt.Errorf("sluice %s is not ready: %w; its log ends with:\n%s", c.name, ctx.Err(), c.tail())
		}
	}
	return nil
}

// stop ends the process in order, and at once when it takes too long.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	select {
	case <-c.done:
	case <-time.After(stopPatience):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	_ = c.input.Close()
}

// tail returns the last lines of the log that are not routine.
func (c *child) tail() string {
	const most, size = 12, 1 << 20
	file, err := os.Open(c.log)
	if err != nil {
		return err.Error()
	}
	defer file.Close() //nolint:errcheck // only read
	if info, err := file.Stat(); err == nil {
		_, _ = file.Seek(max(0, info.Size()-size), io.SeekStart) // else from the start
	}
	raw, _ := io.ReadAll(file) // what could be read is better than nothing
	var lines []string
	for line := range strings.Lines(string(raw)) {
		if !strings.Contains(line, `"level":"INFO"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

// trimLog empties a log that has grown large. The process goes on at its new end.
func (c *child) trimLog() {
	if info, err := os.Stat(c.log); err == nil && info.Size() > logMax {
		_ = os.Truncate(c.log, 0) // at the next look, then
	}
}
