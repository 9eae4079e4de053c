package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// serveCommand runs the API.
type serveCommand struct{}

// Run serves until a signal asks for a drain.
func (serveCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(config.RoleServe)
	if err != nil {
		return err
	}
	p, err := startCalling(ctx, "serve", cfg, newLog(cfg.Log, io.Err))
	if err != nil {
		return err
	}
	defer p.close()
	return p.serve(ctx, func() {})
}

// serve answers requests until ctx ends and those in hand are answered. ready is
// called once the API is about to listen.
func (p *process) serve(ctx context.Context, ready func()) error {
	catalog, err := newCatalogSource(ctx, p.catalogs, p.config.Catalog, p.log)
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
	api, err := spendapi.New(spendapi.Config{
		Committer: p.committer, Books: p.books, Provider: p.provider, ETA: p.provider.eta.expect, Sessions: sessions, Catalog: catalog.current,
		ServerKeys: serverKeys(p.config.Keys), AdminKeys: adminKeys(p.config.Keys),
		PlayerRate: p.config.PlayerRate, PlayerOpenMax: int64(p.config.PlayerOpenMax), GrantMax: economy.Amount(p.config.GrantMax),
		Now: clock, Log: p.log, Metrics: p.registry,
	})
	if err != nil {
		return err
	}
	defer api.Close()
	stopNotices, err := p.conn.OnNotice(api.Notify)
	if err != nil {
		return fmt.Errorf("outcome notices: %w", err)
	}
	defer stopNotices()
	health := &monitor.Health{DB: p.db, Conn: p.conn, Provider: p.providerStatus}
	mux := http.NewServeMux()
	api.Routes(mux)
	mux.HandleFunc("GET /livez", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	mux.Handle("GET /metrics", p.metrics())
	return listen(ctx, p.config.HTTP.Addr, api.Wrap(mux), p.log, listener{
		ready: ready,
		drain: func() { health.Drain(); api.Drain() },
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
