// Command sluice is the whole of Sluice in one binary: the API, the consumers,
// the sweeper, and what operators need. Each subcommand has its own file here,
// which wires the packages together and does nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sluice-gems/sluice/config"
)

// The exit codes of every subcommand.
const (
	exitFailed   = 1
	exitBadUsage = 2
	exitAbove    = 3 // lag is above its threshold
)

// commands is the command line: one field, one file.
type commands struct {
	Dev       devCommand       `cmd:"" help:"Run everything in one process: database, broker, provider simulator, all roles, demo catalogue."`
	Serve     serveCommand     `cmd:"" help:"Run the API."`
	Work      workCommand      `cmd:"" help:"Run the consumers."`
	Relay     relayCommand     `cmd:"" help:"Run the sweeper, which publishes what the outbox still owes."`
	Nats      natsCommand      `cmd:"" name:"nats" help:"Run only the embedded NATS server."`
	Migrate   migrateCommand   `cmd:"" help:"Bring the database's schema up to date."`
	Simulate  simulateCommand  `cmd:"" help:"Run only the RevenueCat simulator."`
	Token     tokenCommand     `cmd:"" help:"Print a session token for a player."`
	Lag       lagCommand       `cmd:"" help:"Show how far behind each consumer is."`
	Spend     spendCommand     `cmd:"" help:"Look at spends."`
	Consumers consumersCommand `cmd:"" help:"List the consumers and what they are owed."`
	Config    configCommand    `cmd:"" help:"List every setting, with its meaning and default."`
}

// gcPercent lets the heap grow to five times what is live before it is collected,
// unless GOGC says otherwise: what is live is a few megabytes, and collecting it
// dozens of times a second took 9 % of the CPU of an accepted spend.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// stdio is where a subcommand writes: results to Out, everything else to Err.
type stdio struct{ Out, Err io.Writer }

// run is main without the process: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	var cli commands
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("sluice"),
		kong.Description("The hard-currency backend of a game that sells gems through RevenueCat.\n\n"+
			"Settings come from the environment and a YAML file: see sluice config."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
	)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "sluice:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "sluice: %v\nTry: sluice --help\n", err)
		return exitBadUsage
	}
	ctx, stop := untilSignal()
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(stdio{stdout, stderr}); err != nil {
		_, _ = fmt.Fprintln(stderr, "sluice:", err)
		return exitCodeOf(err)
	}
	return 0
}

func exitCodeOf(err error) int {
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailed
}

// exitError is an error with its own exit code.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, which
// asks for a drain; the second signal ends the process at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGHUP) // serve reloads its catalogue at it; nobody ends at it
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}

// loadConfig reads the settings for a role and reports everything that is wrong
// with them at once.
func loadConfig(role config.Role) (config.Config, error) {
	cfg, err := config.LoadEnviron(os.Environ(), os.ReadFile)
	if err := errors.Join(err, cfg.Validate(role)); err != nil {
		return config.Config{}, exitError{fmt.Errorf("settings:\n%w", err), exitBadUsage}
	}
	return cfg, nil
}
