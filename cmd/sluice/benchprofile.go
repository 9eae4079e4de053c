package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"
)

// benchProfiledCommand is a role of a bench's site that can be profiled. The roles
// themselves have no switch for it: whoever may signal a process must not be able to
// slow it down or have it write files.
type benchProfiledCommand struct {
	File string   `arg:"" help:"Where the profile goes; an earlier one is overwritten."`
	Args []string `arg:"" passthrough:"" help:"The role, with its arguments."`
}

// Run runs the role. The first SIGUSR1 begins a CPU profile, the second ends it and
// writes a profile of all allocations beside it.
func (c benchProfiledCommand) Run(io stdio) error {
	toggles := make(chan os.Signal, 1)
	signal.Notify(toggles, syscall.SIGUSR1)
	go func() {
		for range toggles {
			if err := c.profile(toggles); err != nil {
				_, _ = fmt.Fprintln(io.Err, "profile:", err)
			}
		}
	}()
	if code := run(c.Args, io.Out, io.Err); code != 0 {
		return exitError{fmt.Errorf("sluice %s ended with %d", c.Args[0], code), code}
	}
	return nil
}

// profile writes a profile until the next signal.
func (c benchProfiledCommand) profile(end <-chan os.Signal) error {
	file, err := os.Create(c.File)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // the profile says itself when it is cut short
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	<-end
	pprof.StopCPUProfile()
	return c.allocations()
}

// allocations writes what was allocated since the process began.
func (c benchProfiledCommand) allocations() error {
	file, err := os.Create(strings.TrimSuffix(c.File, ".pprof") + "-allocs.pprof")
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // the profile says itself when it is cut short
	return pprof.Lookup("allocs").WriteTo(file, 0)
}
