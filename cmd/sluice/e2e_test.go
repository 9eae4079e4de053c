package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

// The tests of this package run Sluice as its users do: as processes that hear
// signals and speak HTTP. The program is this test binary, started again, so
// that the race detector watches the processes too.

// runAsSluice makes the test binary the program. It does not begin with SLUICE_,
// which would be refused as an unknown setting.
const runAsSluice = "E2E_RUN_AS_SLUICE"

const (
	startPatience = time.Minute      // for a program to be ready; a busy machine makes a cluster in ten seconds
	stopPatience  = 40 * time.Second // for a drain, which may take as long as a call to the provider and a commit
	tick          = 20 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv(runAsSluice) != "" {
		go endWithTheTests()
		main()
	}
	testenv.Main(m)
}

// endWithTheTests ends the program when the test binary is gone: the binary holds
// the other end of our standard input.
func endWithTheTests() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(exitFailed)
}

// program is a running sluice.
type program struct {
	t     testing.TB
	args  []string
	cmd   *exec.Cmd
	out   output // its results
	log   output // everything else
	ended chan struct{}
}

// launch starts sluice in a bare environment: of the tests' own, no setting of
// Sluice gets through. It is stopped at the end of the test at the latest; then a
// data race or a panic in it fails the test.
func launch(t testing.TB, env []string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &program{t: t, args: args, cmd: exec.Command(self, args...), ended: make(chan struct{})}
	// The race detector would otherwise make every end a second longer.
	p.cmd.Env = append([]string{runAsSluice + "=1", "GORACE=atexit_sleep_ms=0"}, env...)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "SLUICE_") && !strings.HasPrefix(pair, "OTEL_") {
			p.cmd.Env = append(p.cmd.Env, pair)
		}
	}
	p.cmd.Dir = os.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.WaitDelay = 5 * time.Second
	_, err = p.cmd.StdinPipe() // see endWithTheTests; Wait closes it
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // its exit code is asked for by those who care
		close(p.ended)
	}()
	t.Cleanup(p.finish)
	return p
}

// runs carries out a short command and returns its exit code and what it wrote.
func runs(t testing.TB, env []string, args ...string) (code int, out, log string) {
	t.Helper()
	p := launch(t, env, args...)
	code = p.exitCode()
	return code, p.out.String(), p.log.String()
}

func (p *program) String() string { return "sluice " + strings.Join(p.args, " ") }

// signal sends s to the process, which may be gone.
func (p *program) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		require.NoError(p.t, err)
	}
}

// kill ends the process as a crash does and returns when it is gone.
func (p *program) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// exitCode waits for the end of the process.
func (p *program) exitCode() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(stopPatience):
		require.FailNow(p.t, "it does not end", "%s\n%s", p, p.log.tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

// running reports whether the process is still there.
func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// await returns when text stands in what the program wrote to o.
func (p *program) await(o *output, text string) {
	p.t.Helper()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for deadline := time.Now().Add(startPatience); !o.has(text); {
		if !p.running() && !o.has(text) {
			require.FailNow(p.t, "it ended early", "%s: waiting for %q\n%s", p, text, p.log.tail())
		}
		require.True(p.t, time.Now().Before(deadline), "%s does not write %q\n%s", p, text, p.log.tail())
		<-ticker.C
	}
}

// finish ends the process in order, if it still runs, and looks at what it said.
func (p *program) finish() {
	if p.running() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(stopPatience):
			p.t.Errorf("%s does not stop", p)
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", `"msg":"panic"`} {
		if p.log.has(bad) {
			p.t.Errorf("%s: %s", p, bad)
		}
	}
	if p.t.Failed() {
		p.t.Logf("%s\nstdout: %sstderr: %s", p, p.out.tail(), p.log.tail())
	}
}

// output is what a process wrote.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) has(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(o.text.Bytes(), []byte(text))
}

// tail returns the last lines that are not routine.
func (o *output) tail() string {
	const most = 60
	var lines []string
	for line := range strings.Lines(o.String()) {
		if !strings.Contains(line, `"level":"INFO"`) {
			lines = append(lines, line)
		}
	}
	skipped := max(0, len(lines)-most)
	return fmt.Sprintf("(%d lines before)\n%s", skipped, strings.Join(lines[skipped:], ""))
}
