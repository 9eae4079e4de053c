package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/openapi"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// serveCommand runs the API.
type serveCommand struct{}

// Help says what the role needs and how it ends.
func (serveCommand) Help() string {
	return `Needs PostgreSQL (after sluice migrate), NATS, RevenueCat's key, a session secret or JWKS,
and a catalogue; what is missing is said at once. Without NATS or RevenueCat it still
accepts spends, which then wait.

Any number may run behind a load balancer that looks at /readyz. A signal stops it in
order: /readyz answers 503 at once, new connections are taken for SLUICE_HTTP_DRAIN_GRACE
more, then requests in hand are answered; one that waits for an outcome is told 202.
SIGHUP reloads the catalogue.`
}

// Run serves until a signal asks for a drain.
func (serveCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(ctx, config.RoleServe)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, io.Err)
	return runRole(ctx, log, "serve", func(ctx context.Context) error {
		p, err := startCalling(ctx, "serve", cfg, log)
		if err != nil {
			return err
		}
		defer p.close()
		return p.serve(ctx, func(addr net.Addr) { log.InfoContext(ctx, "serving", "addr", addr.String()) })
	})
}

// serve answers requests until ctx ends and those in hand are answered. ready is
// called once the API listens.
func (p *process) serve(ctx context.Context, ready func(net.Addr)) error {
	catalog, err := newCatalogSource(ctx, p.catalogs, p.config.Catalog, endpointNames(p.config.HandOver), p.log)
	if err != nil {
		return err
	}
	catalog.reloadOnHangup(ctx)
	sessions, err := spendapi.NewSessionVerifier(spendapi.SessionConfig{
		Secret: []byte(p.config.Session.Secret.Reveal()), JWKSURL: p.config.Session.JWKSURL.Reveal(),
		Audience: p.config.Session.Audience, Issuer: p.config.Session.Issuer, Log: p.log,
	})
	if err != nil {
		return err
	}
	gate, closeGate, err := p.startGate(ctx)
	if err != nil {
		return err
	}
	defer closeGate()
	store := purchases.NewStore(p.db)
	api, err := spendapi.New(spendapi.Config{
		Committer: p.committer, Books: p.books, Provider: p.provider, Claims: store, Purchases: store, ETA: p.provider.eta.expect, Sessions: sessions, Catalog: catalog.current,
		Paused: pausedAt(gate), ServerKeys: serverKeys(p.config.Keys), AdminKeys: adminKeys(p.config.Keys),
		PlayerRate: p.config.PlayerRate, PlayerOpenMax: int64(p.config.PlayerOpenMax), GrantMax: economy.Amount(p.config.GrantMax),
		Now: clock, Log: p.log, Metrics: p.registry, Tracer: p.telemetry.Tracer,
	})
	if err != nil {
		return err
	}
	defer api.Close()
	stopNotices, err := p.conn.OnNotice(api.Waits, api.Notify)
	if err != nil {
		return fmt.Errorf("outcome notices: %w", err)
	}
	defer stopNotices()
	health := &monitor.Health{DB: p.db, Conn: p.conn, Provider: p.providerStatus}
	mux := http.NewServeMux()
	api.Routes(mux)
	if err := p.webhooks(ctx, mux); err != nil {
		return err
	}
	stopHeartbeat := p.heartbeat(ctx)
	defer stopHeartbeat()
	mux.HandleFunc("GET /livez", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	mux.Handle("GET /metrics", p.metrics())
	openapi.Routes(mux)
	leaveConsole, stopConsole := p.console(ctx, mux, catalog.current)
	defer stopConsole()
	if p.beside != nil {
		if err := p.beside(ctx, mux, catalog.current); err != nil {
			return err
		}
	}
	return listen(ctx, endpoint{
		addr: p.config.HTTP.Addr, setting: "SLUICE_HTTP_ADDR", handler: api.Wrap(mux), log: p.log,
		grace: p.config.HTTP.DrainGrace, ready: ready,
		begin: func() { health.Drain(); api.Leave(); leaveConsole() },
		last:  api.Drain,
	})
}

func serverKeys(keys config.Keys) []string {
	list := make([]string, len(keys.Server))
	for i, key := range keys.Server {
		list[i] = key.Reveal()
	}
	return list
}

// adminKeys returns the keys of every role: the least of them may look.
func adminKeys(keys config.Keys) []string {
	list := make([]string, len(keys.Admin))
	for i, key := range keys.Admin {
		list[i] = key.Key.Reveal()
	}
	return list
}
