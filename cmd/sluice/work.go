package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/adjust"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
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
	p, err := startProcess(ctx, "work", cfg, newLog(cfg.Log, io.Err))
	if err != nil {
		return err
	}
	defer p.close()
	return p.work(ctx)
}

// work runs the chosen consumers until ctx ends and what is in hand is finished.
func (p *process) work(ctx context.Context) error {
	provider, err := p.provider()
	if err != nil {
		return err
	}
	defer provider.Close()
	teller := adjustments.NewTeller(adjustments.Config{
		Turns: adjustments.Store{DB: p.db}, Committer: p.committer, Provider: provider,
		Process: outbox.NewID(), NewID: outbox.NewID, Now: clock, Log: p.log,
	})
	metrics := consumers.NewMetrics(p.registry)
	var runners []*consumers.Runner
	for _, consumer := range []consumers.Consumer{
		adjust.Consumer{Teller: teller, Spends: p.books},
		fulfil.Consumer{Spends: p.books, Catalogs: p.catalogs, Now: clock},
		compensate.Consumer{Teller: teller, Spends: p.books},
	} {
		if only := p.config.Work.Only; len(only) > 0 && !slices.Contains(only, consumer.Spec().Name) {
			continue
		}
		runners = append(runners, &consumers.Runner{Consumer: consumer, Committer: p.committer, Log: p.log, Metrics: metrics})
	}
	if len(runners) == 0 {
		return exitError{fmt.Errorf("no consumer is called %s; there are %s", strings.Join(p.config.Work.Only, ", "), specNames()), exitBadUsage}
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

func specNames() string {
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
	}
	return strings.Join(names, ", ")
}
