package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// start brings up whatever has no address of its own in the settings.
func (s *devStack) start(ctx context.Context, c devCommand) (err error) {
	if err := requireFree(ctx, s.config.HTTP.Addr, "SLUICE_HTTP_ADDR"); err != nil {
		return err
	}
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
	if len(s.config.Keys.Admin) == 0 {
		s.config.Keys.Admin = []config.AdminKey{{Role: config.Operator, Key: config.NewSecret(s.state.AdminKey)}}
	}
	if w := &s.config.Webhook; w.Enabled && !w.Authorization.IsSet() && len(w.SigningSecrets) == 0 {
		w.Authorization = config.NewSecret("Bearer " + s.state.WebhookKey)
		w.SigningSecrets = []config.Secret{config.NewSecret(s.state.WebhookSecret)}
	}
	if err := s.startProvider(ctx, c); err != nil {
		return err
	}
	if err := s.startGame(ctx, c); err != nil {
		return err
	}
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	if err := s.startNATS(); err != nil {
		return err
	}
	s.state.SessionSecret = s.config.Session.Secret.Reveal()
	s.state.DatabaseURL, s.state.NATSURL = s.config.Database.URL.Reveal(), s.config.NATS.URL.Reveal()
	return s.state.write(s.config.DataDir)
}

// stop stops the servers, the latest first.
func (s *devStack) stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
}

// keep stops the server at the end. Until then the keeper starts it again when it
// dies, and what it gives up on is broken.
func (s *devStack) keep(name string, keeper *devstack.Keeper) {
	watched, forget := context.WithCancel(context.Background())
	go func() {
		select {
		case err := <-keeper.GaveUp():
			s.broken <- err
		case <-watched.Done():
		}
	}()
	s.stops = append(s.stops, func() {
		forget()
		if err := keeper.Stop(context.Background()); err != nil {
			s.log.Error("a server did not stop in order", "server", name, "error", err)
		}
	})
}

func (s *devStack) startPostgres(ctx context.Context) error {
	if !s.config.Database.URL.IsSet() {
		keeper, address, err := devstack.KeepPostgres(ctx, devstack.PostgresConfig{
			DataDir: filepath.Join(s.config.DataDir, "postgres"), Durable: true, Log: s.log,
		})
		if err != nil {
			return err
		}
		s.keep("PostgreSQL", keeper)
		s.config.Database.URL = config.NewURL(address)
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
	keeper, server, err := keepNATS(s.log, filepath.Join(s.config.DataDir, "nats"))
	if err != nil {
		return err
	}
	s.keep("NATS", keeper)
	s.config.NATS.URL = config.NewURL(server.URL())
	return nil
}

// keepNATS starts a server on a free port, and again on the same one when it ends.
func keepNATS(log *slog.Logger, folder string) (*devstack.Keeper, *broker.Embedded, error) {
	wanted := broker.EmbeddedConfig{StoreDir: folder, Log: log}
	server, err := broker.StartEmbedded(wanted)
	if err != nil {
		return nil, nil, err
	}
	if wanted.Port, err = portOf(server.URL()); err != nil {
		server.Stop()
		return nil, nil, err
	}
	return devstack.Keep(log, "NATS", runningNATS(server), func(context.Context) (devstack.Running, error) {
		again, err := broker.StartEmbedded(wanted)
		if err != nil {
			return devstack.Running{}, err
		}
		return runningNATS(again), nil
	}), server, nil
}

func runningNATS(server *broker.Embedded) devstack.Running {
	return devstack.Running{
		Done: server.Done(), Why: server.Why,
		Stop: func(context.Context) error { server.Stop(); return nil },
	}
}

func portOf(address string) (int, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(parsed.Port())
}

// startProvider starts a simulator unless the settings name a provider. It outlasts
// the roles: what is in hand at the stop still gets an answer.
func (s *devStack) startProvider(ctx context.Context, c devCommand) error {
	rc := &s.config.RevenueCat
	s.state.SimulatorURL = ""
	rc.ProjectID = cmp.Or(rc.ProjectID, devProject)
	if !rc.SecretKey.IsSet() {
		rc.SecretKey = config.NewSecret(s.state.RevenueCatKey)
	}
	if os.Getenv("SLUICE_REVENUECAT_URL") != "" || rc.URL.Reveal() != config.Default().RevenueCat.URL.Reveal() {
		return nil
	}
	catalog, err := readCatalog(s.config.Catalog)
	if err != nil {
		return fmt.Errorf("catalogue:\n%w", err)
	}
	simulated := stock(simulator.Config{
		ProjectID: rc.ProjectID, SecretKey: rc.SecretKey.Reveal(), Log: s.log, RatePerMinute: c.SimulatorRate,
		JournalPath: filepath.Join(s.config.DataDir, "simulator.jsonl"),
	}, catalog)
	if s.config.Webhook.Enabled {
		simulated.Webhooks = webhooksTo(webhookURL(s.config.HTTP.Addr), s.config.Webhook)
		s.config.Webhook.Silence = 0 // the simulator sleeps when we do: nothing is missed
	}
	sim, err := simulator.New(simulated)
	if err != nil {
		return err
	}
	s.wares = simulated.Products
	s.stops = append(s.stops, func() { _ = sim.Close() })
	if sim.Balance(devPlayer) == nil {
		if err := sim.SetBalance(devPlayer, devBalance); err != nil {
			return err
		}
	}
	s.sim, s.simRate = sim, c.SimulatorRate
	return s.serveSimulator(ctx, c.SimulatorAddr)
}

// serveSimulator returns once the simulator answers.
func (s *devStack) serveSimulator(ctx context.Context, addr string) (err error) {
	s.simAt, err = s.serveBeside(ctx, addr, "--simulator-addr", s.sim)
	s.config.RevenueCat.URL = config.NewURL("http://" + s.simAt + "/v2")
	s.state.SimulatorURL = s.config.RevenueCat.URL.Reveal()
	return err
}

// serveBeside serves something foreign that the roles call, and returns its address
// once it answers. It outlasts the roles.
func (s *devStack) serveBeside(ctx context.Context, addr, setting string, handler http.Handler) (string, error) {
	besideCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- listen(besideCtx, endpoint{
			addr: addr, setting: setting, handler: handler, log: s.log, quiet: true,
			ready: func(at net.Addr) { ready <- at.String() },
		})
	}()
	var at string
	select {
	case at = <-ready:
	case err := <-ended:
		stop()
		return "", err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := <-ended; err != nil {
			s.broken <- err
		}
	}()
	s.stops = append(s.stops, func() { stop(); <-over })
	return at, nil
}
