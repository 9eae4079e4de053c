package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/internal/monitor"
)

// watched runs a role that serves no requests, and beside it /livez, /readyz and
// /metrics where SLUICE_METRICS_ADDR says, until the role has drained.
func (p *process) watched(ctx context.Context, role func(context.Context) error) error {
	addr := p.config.Metrics.Addr
	if addr == "" {
		return role(ctx)
	}
	mux := http.NewServeMux()
	health := &monitor.Health{DB: p.db, Conn: p.conn}
	forget := context.AfterFunc(ctx, health.Drain)
	defer forget()
	mux.HandleFunc("GET /livez", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	mux.Handle("GET /metrics", p.metrics())
	roleCtx, stopRole := context.WithCancel(ctx)
	watchCtx, stopWatch := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error {
		defer stopWatch()
		return role(roleCtx)
	})
	group.Go(func() error {
		defer stopRole() // an address in use is a failed start, not a role nobody sees
		return listen(watchCtx, endpoint{addr: addr, setting: "SLUICE_METRICS_ADDR", handler: mux, log: p.log, quiet: true})
	})
	return group.Wait()
}

// metrics answers a scrape.
func (p *process) metrics() http.Handler {
	return promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{})
}
