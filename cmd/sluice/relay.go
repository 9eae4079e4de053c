package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/outbox"
)

// trimInterval is how often the stream gives back what every consumer finished.
const trimInterval = 10 * time.Second

// relayCommand runs the sweeper.
type relayCommand struct{}

// Run sweeps until a signal comes.
func (relayCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(config.RoleRelay)
	if err != nil {
		return err
	}
	p, err := startProcess(ctx, "relay", cfg, newLog(cfg.Log, io.Err))
	if err != nil {
		return err
	}
	defer p.close()
	return p.watched(ctx, p.relay)
}

// relay runs the sweeper, and keeps the stream as small as what is unfinished.
func (p *process) relay(ctx context.Context) error {
	sweeper := &outbox.Sweeper{
		DB: p.db, Queues: consumers.Queues(specs), Backlog: p.conn, Publisher: p.conn, Log: p.log, Metrics: p.outboxMetrics,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return sweeper.Run(ctx) })
	group.Go(func() error { return p.trim(ctx) })
	return group.Wait()
}

func (p *process) trim(ctx context.Context) error {
	ticker := time.NewTicker(trimInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := p.conn.Trim(ctx); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "trim stream", "error", err)
		}
	}
}
