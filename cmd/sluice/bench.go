package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/bench"
)

// benchCommand measures.
type benchCommand struct {
	Spend    benchSpendCommand    `cmd:"" help:"Measure accepted and fulfilled spends a second, latency and cost, then verify the books."`
	Soak     benchSoakCommand     `cmd:"" help:"Load for long, and say what grows: memory, goroutines, files, outbox, stream."`
	Generate benchGenerateCommand `cmd:"" hidden:"" help:"Make the load of a plan; the bench starts it."`
	Profiled benchProfiledCommand `cmd:"" hidden:"" help:"Run a role that can be profiled; the bench starts it."`
}

// benchLoad is what both measurements ask for, and of whom.
type benchLoad struct {
	Clients  int           `help:"Connections. In a closed loop each waits for its answer (default 64), in an open loop so many requests may be under way (default 256)."`
	Players  int           `help:"Players who take turns." default:"1000"`
	Item     string        `help:"What they buy. A private site sells extra_life, cursed_relic (refunded) and twin_blade (two currencies)." default:"extra_life"`
	Poisson  bool          `help:"Open loop: arrivals at random times instead of a constant gap."`
	Wait     time.Duration `help:"Let requests wait so long for their outcome; 0 asks for an answer as soon as the spend is accepted."`
	WarmUp   time.Duration `help:"Load before, which does not count." default:"3s"`
	Patience time.Duration `help:"How long everything may take to be done after a load." default:"2m"`
	JSON     bool          `help:"Print JSON." name:"json"`

	Layout  string        `help:"Private site: one process for all roles, as sluice dev, or many." enum:"one,many" default:"one"`
	Delay   time.Duration `help:"Private site: how long the simulated provider takes for a call."`
	Faults  string        `help:"Private site: faults of the simulator as JSON, such as {\"fail_before\":0.01}; see sluice simulate." placeholder:"JSON"`
	Set     []string      `help:"Private site: a setting of its processes, such as SLUICE_WORK_CONCURRENCY=16; may be repeated." placeholder:"NAME=VALUE" sep:"none"`
	Dir     string        `help:"Private site: make its folder in this one, on the disk to be measured (default: the system's temporary folder)." type:"path"`
	Profile string        `help:"Private site: write CPU profiles of its roles during the (last) load into this folder, for go tool pprof." type:"path"`
	Keep    bool          `help:"Private site: keep the folder, with its logs and database."`

	URL               string `help:"Measure the installation at this address instead of a private site. It SPENDS there: players named bench-... buy items. SLUICE_DATABASE_URL and SLUICE_NATS_URL, when set, must be that installation's: they add figures and the check of the books." name:"url"`
	SessionSecretFile string `help:"With --url: file with its session secret; default: SLUICE_SESSION_SECRET." type:"path"`
	ServerKeyFile     string `help:"With --url: file with a game server's key; needed for --grant, and enough without a session secret." type:"path"`
	Grant             int    `help:"With --url: GEM that every player is granted before."`

	needsDatabase bool // of what is measured
}

// benchSpendCommand measures a load of seconds.
type benchSpendCommand struct {
	benchLoad
	Rate            float64       `help:"Open loop: requests a second, sent at their time whether answers come or not; 0 is a closed loop."`
	For             time.Duration `help:"How long a load lasts." default:"10s"`
	Runs            int           `help:"How often it is measured; the medians are shown." default:"1"`
	Baseline        string        `help:"Take turns with pgbench, one-row INSERT transactions on the same PostgreSQL, and print the ratio." enum:"none,pgbench" default:"none"`
	BaselineClients int           `help:"Clients of pgbench." default:"32"`
	HoldTransaction bool          `help:"Keep a transaction with a snapshot open elsewhere while the load runs. With --url it needs SLUICE_DATABASE_URL."`
	DrainWithin     time.Duration `help:"Fail when what is left after the load takes longer; 0 is no limit, as for a provider that is slower than the load." default:"10s"`
}

// benchSoakCommand measures a load of minutes or hours.
type benchSoakCommand struct {
	benchLoad
	Rate  float64       `help:"Requests a second." default:"500"`
	For   time.Duration `help:"How long the load lasts." default:"10m"`
	Every time.Duration `help:"How often it is looked." default:"10s"`
}

// benchGenerateCommand is the process that makes the load.
type benchGenerateCommand struct {
	Plan string `arg:""`
}

// Run carries out a plan.
func (c benchGenerateCommand) Run(ctx context.Context, io stdio) error {
	return bench.Generate(ctx, c.Plan, io.Out)
}

// Run measures and prints the report.
func (c benchSpendCommand) Run(ctx context.Context, io stdio) error {
	if c.DrainWithin < 0 {
		return exitError{errors.New("--drain-within must not be negative"), exitBadUsage}
	}
	if c.Runs < 1 || c.Baseline != "none" && (c.BaselineClients < 1 || c.For < time.Second) {
		return exitError{errors.New("--runs and --baseline-clients must be 1 or more, and --for at least 1s with --baseline"), exitBadUsage}
	}
	load := c.benchLoad
	load.needsDatabase = c.HoldTransaction
	return load.run(ctx, io, "spend", c.Rate, c.For, func(ctx context.Context, b *bench.Bench, say func(string, bool)) (report bench.Report, err error) {
		b.Hold, b.DrainWithin = c.HoldTransaction, c.DrainWithin
		var baseline *bench.Baseline
		if c.Baseline != "none" {
			if baseline, err = bench.NewBaseline(ctx, b.Site, c.BaselineClients, c.For); err != nil {
				return report, err
			}
		}
		for run := range c.Runs {
			if baseline != nil {
				say(fmt.Sprintf("run %d of %d: pgbench for %s", run+1, c.Runs, c.For), false)
				if err := baseline.Run(ctx, &report.Figures); err != nil {
					return report, err
				}
			}
			say(fmt.Sprintf("run %d of %d: %s after a warm-up of %s", run+1, c.Runs, c.For, c.WarmUp), false)
			if err := b.Run(ctx, &report.Figures); err != nil {
				return report, err
			}
		}
		report.Figures.Ratios()
		if c.Runs > 1 {
			report.Title = fmt.Sprintf(", %d runs", c.Runs)
		}
		if c.HoldTransaction {
			report.Notes = append(report.Notes, "a transaction with a snapshot was open all the while")
		}
		return report, nil
	})
}

// Run loads, looks, and prints what grew.
func (c benchSoakCommand) Run(ctx context.Context, io stdio) error {
	if c.Rate <= 0 || c.Every <= 0 || c.For < 4*c.Every {
		return exitError{errors.New("--rate and --every must be more than zero, and --for at least four times --every"), exitBadUsage}
	}
	return c.run(ctx, io, "soak", c.Rate, c.For, func(ctx context.Context, b *bench.Bench, say func(string, bool)) (report bench.Report, err error) {
		say(fmt.Sprintf("%s at %v spends a second", c.For, c.Rate), false)
		err = b.Soak(ctx, c.Every, &report)
		return report, err
	})
}

// run prepares what is measured, has it measured, verifies the books and prints
// the report. It fails when the books are wrong or something grows.
func (c benchLoad) run(ctx context.Context, io stdio, name string, rate float64, length time.Duration,
	measure func(context.Context, *bench.Bench, func(string, bool)) (bench.Report, error),
) (err error) {
	if err := c.check(rate, length); err != nil {
		return exitError{err, exitBadUsage}
	}
	say, quiet := benchProgress(io)
	cfg := bench.Config{Label: strings.ToLower(rand.Text()[:8]), Patience: c.Patience, Say: say}
	cfg.Load = bench.Load{
		Clients: c.clients(rate), Rate: rate, Poisson: c.Poisson, Players: c.Players, Item: c.Item, WarmUp: c.WarmUp, For: length,
	}
	if c.Wait > 0 {
		cfg.Load.Prefer = fmt.Sprintf("wait=%d", int(c.Wait.Seconds()))
	}
	if cfg.Program, err = os.Executable(); err != nil {
		return err
	}
	cfg.Env = withoutSettings(os.Environ())
	if cfg.Dir, err = c.folder(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.leave(io, cfg.Dir)) }()
	if c.URL == "" {
		say("starting a private site", false)
		err = c.private(ctx, &cfg)
	} else {
		err = c.running(ctx, &cfg)
	}
	if err != nil {
		return err
	}
	defer cfg.Site.Stop()
	b, err := bench.New(ctx, cfg)
	if err != nil {
		return err
	}
	report, err := measure(ctx, b, say)
	if ctx.Err() != nil {
		return errors.New("interrupted: nothing was measured")
	}
	if err != nil {
		return err
	}
	say("verifying the books", true)
	report.Title = "sluice bench " + name + ": " + cfg.Load.String() + c.where() + report.Title
	err = b.Finish(ctx, &report)
	quiet()
	if err != nil {
		return err
	}
	if c.JSON {
		err = report.JSON(io.Out)
	} else {
		err = report.Text(io.Out)
	}
	return errors.Join(err, report.Err())
}

func (c benchLoad) clients(rate float64) int {
	if rate > 0 {
		return cmp.Or(c.Clients, 256)
	}
	return cmp.Or(c.Clients, 64)
}

func (c benchLoad) where() string {
	if c.URL != "" {
		return ", " + c.URL
	}
	return ", private site in layout " + c.Layout
}

func (c benchLoad) check(rate float64, length time.Duration) error {
	switch {
	case c.Clients < 0 || c.Players < 1 || rate < 0:
		return errors.New("--clients, --players and --rate must be more than zero")
	case length <= 0 || c.WarmUp < 0 || c.Patience <= 0 || c.Delay < 0 || c.Grant < 0:
		return errors.New("durations and --grant must not be negative, and --for and --patience must be more than zero")
	case c.Wait < 0 || c.Wait > 30*time.Second || c.Wait%time.Second != 0:
		return errors.New("--wait is whole seconds, 30s at most")
	case c.URL != "" && (c.Profile != "" || len(c.Set) > 0 || c.Delay > 0 || c.Faults != "" || c.Dir != "" || c.Keep):
		return errors.New("--delay, --faults, --set, --dir, --keep and --profile are for a private site: leave --url out")
	case c.URL == "" && (c.SessionSecretFile != "" || c.ServerKeyFile != "" || c.Grant > 0):
		return errors.New("--session-secret-file, --server-key-file and --grant are for --url")
	}
	for _, pair := range c.Set {
		if !strings.HasPrefix(pair, "SLUICE_") || !strings.Contains(pair, "=") {
			return fmt.Errorf("--set %s: write SLUICE_NAME=VALUE", pair)
		}
	}
	return nil
}
