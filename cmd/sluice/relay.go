package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/outbox"
)

// trimInterval is how often the stream gives back what every consumer finished.
const trimInterval = 10 * time.Second

// sweeperConns are one connection for the lock and one for the work.
const sweeperConns = 2

// relayCommand runs the sweeper.
type relayCommand struct{}

// Help says what the role needs and how many run.
func (relayCommand) Help() string {
	return `Needs PostgreSQL (after sluice migrate) and NATS. Run at least one: without it nothing that
a crash or the broker lost comes again, and nothing parked falls due. Of several one works
and the others stand by. SLUICE_METRICS_ADDR gives it /livez, /readyz and /metrics.`
}

// Run sweeps until a signal comes.
func (relayCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(ctx, config.RoleRelay)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, io.Err)
	return runRole(ctx, log, "relay", func(ctx context.Context) error {
		p, err := startProcess(ctx, "relay", cfg, log)
		if err != nil {
			return err
		}
		defer p.close()
		return p.watched(ctx, p.relay)
	})
}

// relay runs the sweeper, and keeps the stream as small as what is unfinished.
func (p *process) relay(ctx context.Context) error {
	db, err := p.byKey(ctx, sweeperConns)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	sweeper := &outbox.Sweeper{
		DB: db, Queues: consumers.Queues(specs), Backlog: p.conn, Publisher: p.conn, Log: p.log, Metrics: p.outboxMetrics,
		Tracer: p.telemetry.Tracer,
	}
	stopCounting, err := p.countAdvisories()
	if err != nil {
		return err
	}
	defer stopCounting()
	stopped := onStop(ctx, func() { p.log.InfoContext(ctx, "stopping: the sweep under way ends") })
	defer stopped()
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return sweeper.Run(running) })
	group.Go(func() error { return p.trim(running) })
	group.Go(func() error { return (&monitor.Watchdog{Monitor: p.monitor, Log: p.log}).Run(running) })
	group.Go(func() error { return newRetention(p.config, p.db, p.log).Run(running) })
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
