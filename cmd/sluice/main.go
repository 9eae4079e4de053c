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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/telemetry"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// The exit codes of every subcommand.
const (
	exitFailed   = 1
	exitBadUsage = 2
	exitAbove    = 3 // lag is above its threshold
)

// commands is the command line: one field, one file.
type commands struct {
	Dev        devCommand        `cmd:"" help:"Run everything in one process, to try it out."`
	Serve      serveCommand      `cmd:"" help:"Run the HTTP API."`
	Work       workCommand       `cmd:"" help:"Run the consumers, which charge, hand over and give back."`
	Relay      relayCommand      `cmd:"" help:"Run the sweeper, which publishes again what got lost or is due."`
	Nats       natsCommand       `cmd:"" name:"nats" help:"Run only the embedded NATS server, for several processes on one machine."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database's schema up to date, before a release's roles start."`
	Simulate   simulateCommand   `cmd:"" help:"Run only the RevenueCat simulator."`
	Token      tokenCommand      `cmd:"" help:"Print a session token for a player."`
	Lag        lagCommand        `cmd:"" help:"Show how far behind each consumer is."`
	Webhooks   webhooksCommand   `cmd:"" help:"Make up for webhooks that may be missing."`
	Backfill   backfillCommand   `cmd:"" help:"Replay history from the provider's exports."`
	Spend      spendCommand      `cmd:"" help:"Look at spends."`
	Audit      auditCommand      `cmd:"" help:"Prove the books, line by line, or show one player's page."`
	Retain     retainCommand     `cmd:"" help:"Let old history go now, as the settings say; relay does it every hour."`
	Reconcile  reconcileCommand  `cmd:"" help:"Compare RevenueCat's balances with our ledger, and repair the ledger."`
	Resync     resyncCommand     `cmd:"" help:"Read a player's customer from RevenueCat again: purchases, aliases, balances."`
	Handover   handoverCommand   `cmd:"" help:"Look at the game's own servers, which hand items over."`
	Deadletter deadletterCommand `cmd:"" help:"Look at deliveries that were set aside; retry or resolve them."`
	Pause      pauseCommand      `cmd:"" help:"Let a consumer, a lane, an item or a currency wait."`
	Resume     resumeCommand     `cmd:"" help:"End a pause."`
	Pauses     pausesCommand     `cmd:"" help:"List what is paused."`
	Acts       actsCommand       `cmd:"" help:"Show the audit: who did what, when and why."`
	Consumers  consumersCommand  `cmd:"" help:"List the consumers and the events each takes."`
	Config     configCommand     `cmd:"" help:"List every setting, with its meaning and default."`
	Health     healthCommand     `cmd:"" help:"Ask a running process how it is; exits with 1 when it is not well."`
	Bench      benchCommand      `cmd:"" help:"Measure: load a private site or a running one, and verify the books."`
	Version    versionCommand    `cmd:"" help:"Print which build this is."`
}

// vars are what the help texts and defaults above take from other packages.
var vars = kong.Vars{"backfill_backlog": strconv.Itoa(backfill.BacklogDefault), "backfill_workers": strconv.Itoa(backfill.WorkersDefault), "backfill_share": strconv.Itoa(100 * backfill.ShareDefault)}

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
			"Begin with sluice dev: it needs no settings. Those of the other roles come from the environment and a YAML file: see sluice config.\n\n"+
			"A signal (SIGTERM, Ctrl-C) stops a role in order: what is in hand is finished. A second one, 250 ms later or more, ends it at once.\n\n"+
			"Exit codes: 0 done; 1 failed, or ended by a second signal; 2 bad usage or settings; 3 above a threshold (sluice lag)."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		vars, kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
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
	command.BindTo(withCommand(ctx, command), (*context.Context)(nil))
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

// sameSignal is how long after the first signal further ones are that same one:
// timeout(1) sends it to its command and then to the whole group, and make hands on
// what its group has heard.
const sameSignal = 250 * time.Millisecond

// untilSignal returns a context that ends with the first SIGINT or SIGTERM, which
// asks for a drain; a second signal ends the process at once, with exitFailed. What
// was in hand then is what a crash leaves: the next start brings it to its end.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGHUP) // serve reloads its catalogue at it; nobody ends at it
	go obey(signals, time.Now, cancel, func() {
		_, _ = fmt.Fprintln(os.Stderr, "sluice: second signal: ended at once; what was in hand is finished after the next start")
		os.Exit(exitFailed)
	})
	return ctx, func() { signal.Stop(signals); cancel() }
}

// obey calls drain at the first signal, and end at the next that is another one.
func obey(signals <-chan os.Signal, now func() time.Time, drain, end func()) {
	<-signals
	first := now()
	drain()
	for range signals {
		if now().Sub(first) >= sameSignal {
			end()
			return
		}
	}
}

// commandKey is where a context keeps the command that was called.
type commandKey struct{}

// withCommand keeps the command's name, such as "spend show", for messages.
func withCommand(ctx context.Context, command *kong.Context) context.Context {
	var names []string
	for _, step := range command.Path {
		if step.Command != nil {
			names = append(names, step.Command.Name)
		}
	}
	return context.WithValue(ctx, commandKey{}, strings.Join(names, " "))
}

// commandOf is what withCommand kept.
func commandOf(ctx context.Context) string {
	name, _ := ctx.Value(commandKey{}).(string)
	return name
}

// loadConfig reads the settings for a role and reports everything that is wrong
// with them at once.
func loadConfig(ctx context.Context, role config.Role) (config.Config, error) {
	cfg, err := config.LoadEnviron(os.Environ(), os.ReadFile)
	if err := errors.Join(err, cfg.ValidateFor(role, commandOf(ctx)), telemetry.Check()); err != nil {
		return config.Config{}, exitError{fmt.Errorf("settings:\n%w", err), exitBadUsage}
	}
	return cfg, nil
}
