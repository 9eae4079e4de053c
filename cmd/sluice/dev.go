package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// devCommand runs everything in one process.
type devCommand struct {
	SimulatorAddr string `help:"Where the RevenueCat simulator listens." default:"127.0.0.1:8081"`
	SimulatorRate int    `help:"Calls a minute the simulator admits, as RevenueCat's 480; 0 is no limit." default:"0"`
	GameAddr      string `help:"Where the sample game listens, whose server hands some items over." default:"127.0.0.1:0"`
}

const (
	devProject  = "proj_dev"
	devPlayer   = "player_1"
	devTokenTTL = 24 * time.Hour
)

// devBalance is what the demo player starts with: enough for every item once.
var devBalance = economy.Amounts{"GEM": 10_000, "GOLD": 1_000}

// Help says what runs and where.
func (devCommand) Help() string {
	return `Starts a private PostgreSQL, NATS, a simulated RevenueCat and all roles with a demo catalogue,
then prints a session token and commands to paste. It needs no settings: what is unset is
made up and kept, with all data, in SLUICE_DATA_DIR (.sluice). What is set is used instead:
SLUICE_DATABASE_URL, SLUICE_NATS_URL, SLUICE_REVENUECAT_URL, SLUICE_CATALOG and the rest.

The API is at SLUICE_HTTP_ADDR (127.0.0.1:8080), and at its /store/ a shop to play with. A
PostgreSQL or NATS that dies is started again. Ctrl-C stops everything in order, and the
next start goes on with the same data.`
}

// Run starts what is not set to run elsewhere, prints how to use it, and works
// until a signal comes.
func (c devCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(ctx, config.RoleDev)
	if err != nil {
		return err
	}
	if err := requireKnown(cfg.Work.Only); err != nil {
		return err
	}
	if cfg.Log.Format == config.LogAuto && onTerminal(io.Err) {
		cfg.Log.Format = config.LogText
	}
	if cfg.HTTP.DrainGrace == config.Default().HTTP.DrainGrace {
		cfg.HTTP.DrainGrace = 0 // no load balancer looks at us: Ctrl-C need not wait for one
	}
	log := newLog(cfg.Log, io.Err)
	if cfg.DataDir, err = filepath.Abs(cfg.DataDir); err != nil {
		return err
	}
	unlock, err := devstack.Lock(cfg.DataDir)
	if errors.Is(err, devstack.ErrLocked) {
		return fmt.Errorf("another sluice dev runs on %s: stop it, or set SLUICE_DATA_DIR to another folder", cfg.DataDir)
	}
	if err != nil {
		return err
	}
	defer unlock()
	return runRole(ctx, log, "dev", func(ctx context.Context) error {
		s := &devStack{config: cfg, log: log, broken: make(chan error, devServers)}
		defer s.stop()
		if err := s.start(ctx, c); err != nil {
			return err
		}
		return s.run(ctx, io)
	})
}

// onTerminal reports whether people read what is written to w as it comes.
func onTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// devStack is what `sluice dev` runs beside the roles.
type devStack struct {
	config  config.Config
	state   devState
	log     *slog.Logger
	sim     *simulator.Simulator // nil: the settings name a provider
	simAt   string
	simRate int                 // calls a minute it admits; 0: no limit
	gameAt  string              // empty: the settings name endpoints of a game
	wares   []simulator.Product // what the simulated stores sell
	stops   []func()
	broken  chan error // a server ended that the roles need, for good
}

// devServers is how many servers may be broken.
const devServers = 4

// run runs all roles until ctx ends, one of them fails, or a server is broken.
func (s *devStack) run(ctx context.Context, io stdio) error {
	p, err := startCalling(ctx, "dev", s.config, s.log)
	if err != nil {
		return err
	}
	defer p.close()
	p.beside = s.store(p)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error { return p.work(ctx) })
	group.Go(func() error { return p.relay(ctx) })
	group.Go(func() error { return p.serve(ctx, func(addr net.Addr) { s.greet(io, addr.String()) }) })
	return group.Wait()
}
