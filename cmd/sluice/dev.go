package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// devCommand runs everything in one process.
type devCommand struct {
	SimulatorAddr string `help:"Where the RevenueCat simulator listens." default:"127.0.0.1:8081"`
	SimulatorRate int    `help:"Calls a minute the simulator admits, as RevenueCat's 480; 0 is no limit." default:"0"`
}

const (
	devProject  = "proj_dev"
	devPlayer   = "player_1"
	devTokenTTL = 24 * time.Hour
)

// devBalance is what the demo player starts with: enough for every item once.
var devBalance = economy.Amounts{"GEM": 10_000, "GOLD": 1_000}

// Run starts what is not set to run elsewhere, prints how to use it, and works
// until a signal comes.
func (c devCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(config.RoleDev)
	if err != nil {
		return err
	}
	if err := requireKnown(cfg.Work.Only); err != nil {
		return err
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
	s := &devStack{config: cfg, log: log}
	defer s.stop()
	if err := s.start(ctx, c); err != nil {
		return err
	}
	return s.run(ctx, io)
}

// devStack is what `sluice dev` runs beside the roles.
type devStack struct {
	config config.Config
	state  devState
	log    *slog.Logger
	sim    *simulator.Simulator
	simAt  string
	stops  []func()
}

func (s *devStack) stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
}

// start brings up whatever has no address of its own in the settings.
func (s *devStack) start(ctx context.Context, c devCommand) (err error) {
	if s.state, err = readDevState(s.config.DataDir); err != nil {
		return err
	}
	s.state.fillSecrets()
	if !s.config.Session.Secret.IsSet() {
		s.config.Session.Secret = config.NewSecret(s.state.SessionSecret)
	}
	if len(s.config.Keys.Server) == 0 {
		s.config.Keys.Server = []config.Secret{config.NewSecret(s.state.ServerKey)}
	}
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	if err := s.startNATS(); err != nil {
		return err
	}
	if err := s.startProvider(c); err != nil {
		return err
	}
	s.state.SessionSecret = s.config.Session.Secret.Reveal()
	s.state.DatabaseURL, s.state.NATSURL = s.config.Database.URL.Reveal(), s.config.NATS.URL.Reveal()
	return s.state.write(s.config.DataDir)
}

func (s *devStack) startPostgres(ctx context.Context) error {
	if !s.config.Database.URL.IsSet() {
		server, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{
			DataDir: filepath.Join(s.config.DataDir, "postgres"), Durable: true, Log: s.log,
		})
		if err != nil {
			return err
		}
		s.stops = append(s.stops, func() {
			if err := server.Stop(context.Background()); err != nil {
				s.log.ErrorContext(context.WithoutCancel(ctx), "stop postgres", "error", err)
			}
		})
		s.config.Database.URL = config.NewURL(server.URL(""))
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: s.config.Database.URL.Reveal()})
	if err != nil {
		return err
	}
	return errors.Join(postgres.Migrate(ctx, db, s.log), db.Close())
}

func (s *devStack) startNATS() error {
	if s.config.NATS.URL.IsSet() {
		return nil
	}
	server, err := broker.StartEmbedded(broker.EmbeddedConfig{StoreDir: filepath.Join(s.config.DataDir, "nats"), Log: s.log})
	if err != nil {
		return err
	}
	s.stops = append(s.stops, server.Stop)
	s.config.NATS.URL = config.NewURL(server.URL())
	return nil
}

// startProvider makes a simulator ready unless the settings name a provider.
func (s *devStack) startProvider(c devCommand) error {
	rc := &s.config.RevenueCat
	rc.ProjectID = cmp.Or(rc.ProjectID, devProject)
	if !rc.SecretKey.IsSet() {
		rc.SecretKey = config.NewSecret(s.state.RevenueCatKey)
	}
	if os.Getenv("SLUICE_REVENUECAT_URL") != "" || rc.URL.Reveal() != config.Default().RevenueCat.URL.Reveal() {
		return nil
	}
	sim, err := simulator.New(simulator.Config{
		ProjectID: rc.ProjectID, SecretKey: rc.SecretKey.Reveal(), Log: s.log, RatePerMinute: c.SimulatorRate,
		JournalPath: filepath.Join(s.config.DataDir, "simulator.jsonl"),
	})
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() { _ = sim.Close() })
	if sim.Balance(devPlayer) == nil {
		if err := sim.SetBalance(devPlayer, devBalance); err != nil {
			return err
		}
	}
	s.sim, s.simAt = sim, c.SimulatorAddr
	rc.URL = config.NewURL("http://" + c.SimulatorAddr + "/v2")
	return nil
}

// run runs all roles until ctx ends or one of them fails.
func (s *devStack) run(ctx context.Context, io stdio) error {
	p, err := startCalling(ctx, "dev", s.config, s.log)
	if err != nil {
		return err
	}
	defer p.close()
	group, ctx := errgroup.WithContext(ctx)
	if s.sim != nil {
		// The simulator outlasts the roles: what is in hand at the stop still gets an answer.
		simCtx, stopSim := context.WithCancel(context.WithoutCancel(ctx))
		simDone := make(chan error, 1)
		go func() { simDone <- listen(simCtx, s.simAt, s.sim, s.log, listener{}) }()
		defer func() {
			stopSim()
			if err := <-simDone; err != nil {
				s.log.ErrorContext(simCtx, "simulator", "error", err)
			}
		}()
		group.Go(func() error {
			select {
			case err := <-simDone:
				simDone <- err
				return err
			case <-ctx.Done():
				return nil
			}
		})
	}
	group.Go(func() error { return p.work(ctx) })
	group.Go(func() error { return p.relay(ctx) })
	group.Go(func() error { return p.serve(ctx, func() { s.greet(io) }) })
	return group.Wait()
}

// greet prints where everything is, and commands to paste.
func (s *devStack) greet(io stdio) {
	api := "http://" + s.config.HTTP.Addr
	token, err := signSession(s.config.Session, devPlayer, devTokenTTL)
	if err != nil {
		s.log.Error("sign session", "error", err)
		return
	}
	provider := s.config.RevenueCat.URL.String()
	if s.sim != nil {
		provider += "   (simulator; controls: http://" + s.simAt + "/control)"
	}
	_, _ = fmt.Fprintf(io.Out, `
Sluice is ready.

  API         %s
  RevenueCat  %s
  PostgreSQL  %s
  NATS        %s
  Data        %s

A session token of %s, valid for %s:

  TOKEN=%s

Spend 50 gems, then look at what it bought:

  curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
       -d '{"item":"extra_life","idempotencyKey":"first-tap"}' %s/spend
  curl -s -H "Authorization: Bearer $TOKEN" %s/inventory

`, api, provider, s.config.Database.URL, s.config.NATS.URL, s.config.DataDir, devPlayer, devTokenTTL, token, api, api)
	if key := s.config.Keys.Server[0].Reveal(); key == s.state.ServerKey { // one of the settings is not ours to show
		_, _ = fmt.Fprintf(io.Out, `Grant gems as the game's server does:

  curl -s -H "Authorization: Bearer %s" -H 'Content-Type: application/json' \
       -d '{"app_user_id":"%s","adjustments":{"GEM":100},"reason":"quest","idempotency_key":"first-quest"}' %s/grants

`, key, devPlayer, api)
	}
	if s.sim != nil {
		_, _ = fmt.Fprintf(io.Out, "Give any player gems:\n\n  curl -s -d '{\"balances\":{\"GEM\":1000}}' http://%s/control/customers/player_2\n\n", s.simAt)
	}
}
