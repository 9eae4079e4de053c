package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/outbox"
)

// workCommand runs the consumers.
type workCommand struct {
	Only []string `help:"Run only these consumers, such as adjust,fulfil (SLUICE_WORK_ONLY)."`
}

// Run works until a signal asks for a drain.
func (c workCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(config.RoleWork)
	if err != nil {
		return err
	}
	if len(c.Only) > 0 {
		cfg.Work.Only = c.Only
	}
	if err := requireKnown(cfg.Work.Only); err != nil {
		return err
	}
	p, err := startCalling(ctx, "work", cfg, newLog(cfg.Log, io.Err))
	if err != nil {
		return err
	}
	defer p.close()
	return p.watched(ctx, p.work)
}

// work runs the chosen consumers until ctx ends and what is in hand is finished.
func (p *process) work(ctx context.Context) error {
	var soleWriter adjustments.SoleWriter
	if p.config.RevenueCat.SoleWriter {
		soleWriter = readings{adjustments.Store{DB: p.db}, p.provider}
	}
	teller := adjustments.NewTeller(adjustments.Config{
		SoleWriter: soleWriter,
		Turns:      adjustments.Store{DB: p.db}, Committer: p.committer, Provider: p.provider,
		Process: p.provider.id, NewID: outbox.NewID, Now: clock, Log: p.log,
	})
	metrics := consumers.NewMetrics(p.registry)
	var runners []*consumers.Runner
	for _, entry := range list {
		if only := p.config.Work.Only; len(only) > 0 && !slices.Contains(only, entry.spec.Name) {
			continue
		}
		runners = append(runners, &consumers.Runner{Consumer: entry.build(p, teller), Committer: p.committer, Log: p.log, Metrics: metrics})
	}
	router, err := consumers.NewRouter(p.log, runners, subscriber(p.conn, p.config.Work.Concurrency))
	if err != nil {
		return err
	}
	if err := router.Run(ctx); err != nil {
		return fmt.Errorf("consumers: %w", err)
	}
	return nil
}

// readings is what it takes to settle an unknown charge by reading the balance.
type readings struct {
	adjustments.Store
	*provider
}
