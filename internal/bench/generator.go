package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-gems/sluice/internal/bench/load"
	"github.com/sluice-gems/sluice/internal/devstack"
)

// The load runs in a process of its own, so that its CPU is not the service's:
// `sluice bench generate PLAN`, which reads a plan and writes lines of JSON.

// Generate is that process: it carries out the plan in a file and writes to out,
// about once a second, what was done so far, and at the end the whole.
func Generate(ctx context.Context, path string, out io.Writer) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var plan load.Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// One thread does it all: handing sockets from thread to thread would cost the
	// CPUs it shares with the service more than a second one is worth to it.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	lines := json.NewEncoder(out)
	summary, err := load.Run(ctx, plan, func(s load.Summary) { _ = lines.Encode(s) }) // nobody listens: nobody is told
	if err != nil {
		return err
	}
	return lines.Encode(summary)
}

// generator has loads carried out.
type generator struct {
	program string
	env     []string
	dir     string
}

// loaded is what a load did and what it cost.
type loaded struct {
	load.Summary
	cpu time.Duration
}

// run carries out a plan, whose file of records it names, in a process of its own.
func (g generator) run(ctx context.Context, plan load.Plan, progress func(load.Summary)) (loaded, error) {
	raw, err := json.Marshal(plan)
	if err != nil {
		return loaded{}, err
	}
	path := filepath.Join(g.dir, "plan.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil { // it holds sessions
		return loaded{}, err
	}
	defer os.Remove(path) //nolint:errcheck // the folder goes, too
	ctx, cancel := context.WithTimeout(ctx, plan.For+startPatience+stopPatience)
	defer cancel()
	cmd := exec.Command(g.program, "bench", "generate", path) //nolint:noctx // it is stopped in order
	out, said := &summaries{progress: progress}, &bytes.Buffer{}
	cmd.Env, cmd.Stdout, cmd.Stderr = g.env, out, said
	input, err := cmd.StdinPipe()
	if err != nil {
		return loaded{}, err
	}
	defer input.Close() //nolint:errcheck // it reads nothing
	done := make(chan error, 1)
	if err := devstack.StartChild(cmd, func(err error) { done <- err }); err != nil {
		return loaded{}, fmt.Errorf("start the load: %w", err)
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done: //nolint:errcheck // why it was stopped matters more
		case <-time.After(stopPatience):
			_ = cmd.Process.Kill()
			<-done //nolint:errcheck // the same
		}
		return loaded{}, context.Cause(ctx)
	}
	if err != nil {
		return loaded{}, fmt.Errorf("the load failed: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	summary, ok := out.last()
	if !ok {
		return loaded{}, errors.New("the load said nothing")
	}
	return loaded{summary, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// summaries reads the lines of Generate.
type summaries struct {
	progress func(load.Summary)

	mu     sync.Mutex
	rest   []byte
	latest load.Summary
	any    bool
}

// Write implements io.Writer.
func (s *summaries) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	for {
		line, rest, whole := bytes.Cut(s.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.rest = rest
		if err := json.Unmarshal(line, &s.latest); err != nil {
			return 0, fmt.Errorf("%.100q: %w", line, err)
		}
		s.any = true
		if s.progress != nil {
			s.progress(s.latest)
		}
	}
}

func (s *summaries) last() (load.Summary, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest, s.any
}
