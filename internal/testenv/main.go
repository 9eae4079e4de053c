package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// stopPatience bounds the end of a server; past it the server is killed.
const stopPatience = 20 * time.Second

// lifetime is what lives as long as the test binary.
var lifetime struct {
	sync.Mutex
	inMain bool           // Main runs: somebody will clean up
	atExit []func() error // newest first
}

// Main runs the tests of a package and then ends what they shared: servers and
// folders. Every package that uses testenv needs it, as its TestMain.
func Main(m *testing.M) {
	lifetime.Lock()
	lifetime.inMain = true
	lifetime.Unlock()

	m.Run() // the testing package exits with its result once TestMain returns
	if err := runAtExit(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		os.Exit(1)
	}
}

// atExit has f called when the tests are over, last registered first.
func atExit(f func() error) {
	lifetime.Lock()
	defer lifetime.Unlock()
	lifetime.atExit = append(lifetime.atExit, f)
}

func runAtExit() error {
	lifetime.Lock()
	todo := lifetime.atExit
	lifetime.atExit = nil
	lifetime.Unlock()
	var errs []error
	for i := len(todo) - 1; i >= 0; i-- {
		errs = append(errs, todo[i]())
	}
	return errors.Join(errs...)
}

// requireMain fails the test when nobody would clean up behind it.
func requireMain(t testing.TB) {
	t.Helper()
	lifetime.Lock()
	defer lifetime.Unlock()
	if !lifetime.inMain {
		t.Fatal("testenv: the package needs func TestMain(m *testing.M) { testenv.Main(m) }")
	}
}

// stopContext bounds work done after a test, when the test's own context is over.
func stopContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), stopPatience)
}
