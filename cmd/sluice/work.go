package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/outbox"
)

// workCommand runs the consumers.
type workCommand struct {
	Only []string `help:"Run only these consumers, such as adjust,fulfil; sluice consumers lists them. Default: SLUICE_WORK_ONLY, or all."`
}

// Help says what the role needs and how it ends.
func (workCommand) Help() string {
	return `Needs PostgreSQL (after sluice migrate), NATS and RevenueCat's key. Any number may run: they
share the provider's limit. A signal stops it in order: calls and hand-overs under way are
finished, the rest goes to another process. SLUICE_METRICS_ADDR gives it /livez, /readyz and
/metrics.`
}

// Run works until a signal asks for a drain.
func (c workCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(ctx, config.RoleWork)
	if err != nil {
		return err
	}
	if len(c.Only) > 0 {
		cfg.Work.Only = c.Only
	}
	if err := requireKnown(cfg.Work.Only); err != nil {
		return err
	}
	log := newLog(cfg.Log, io.Err)
	return runRole(ctx, log, "work", func(ctx context.Context) error {
		p, err := startCalling(ctx, "work", cfg, log)
		if err != nil {
			return err
		}
		defer p.close()
		return p.watched(ctx, p.work)
	})
}

// work runs the chosen consumers until ctx ends and what is in hand is finished:
// calls under way, hand-overs, commits. What has not begun goes back to the broker,
// for another process.
func (p *process) work(ctx context.Context) error {
	if err := p.startEndpoints(); err != nil {
		return err
	}
	defer p.endpoints.Close()
	if err := p.startReads(ctx); err != nil {
		return err
	}
	stopWaking := p.startWaking(ctx)
	defer stopWaking()
	stopTelling := p.tellTroubles()
	defer stopTelling()
	var soleWriter adjustments.SoleWriter
	if p.config.RevenueCat.SoleWriter {
		soleWriter = readings{adjustments.Store{DB: p.db}, p.provider}
	}
	gate, closeGate, err := p.startGate(ctx)
	if err != nil {
		return err
	}
	defer closeGate()
	turns := adjustments.NewGathered(p.db, p.reads)
	teller := adjustments.NewTeller(adjustments.Config{
		SoleWriter: soleWriter,
		Turns:      turns, Refusals: turns, Committer: p.committer, Provider: p.provider, Admission: admission{p.provider.Provider, gate, ctx},
		Process: p.provider.id, NewID: outbox.NewID, Now: clock, Log: p.log,
		Tracer: p.telemetry.Tracer, Traces: turns,
	})
	metrics := consumers.NewMetrics(p.registry)
	var runners []*consumers.Runner
	for _, entry := range list {
		if only := p.config.Work.Only; len(only) > 0 && !slices.Contains(only, entry.spec.Name) {
			continue
		}
		runners = append(runners, &consumers.Runner{
			Consumer: entry.build(p, teller), Committer: p.committerFor(entry.spec), Log: p.log, Metrics: metrics, Tracer: p.telemetry.Tracer,
		})
	}
	stopFreshener := p.freshen(ctx)
	defer stopFreshener()
	stopAudits := p.audits(ctx)
	defer stopAudits()
	drain := workDrain(p.config.HandOver)
	router, err := consumers.NewRouter(p.log, runners, drain, subscriber(p.conn, p.config.Work.Concurrency, p.roomFor, drain))
	if err != nil {
		return err
	}
	waitAtGate(ctx, router, gate)
	stopped := onStop(ctx, func() {
		p.log.InfoContext(ctx, "stopping: deliveries in hand are finished, the others go back", "deliveries", router.InHand())
	})
	defer stopped()
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

// admission asks the shared budget before anything is bound. Once the role is to
// stop it lets no further call start: a player who spends without a break would
// otherwise keep the worker for as long.
type admission struct {
	provider *budget.Provider
	gate     *operations.Gate
	role     context.Context
}

// Admit implements adjustments.Admission. A worker that has a player in hand when its
// consumer is paused begins no further call either.
func (a admission) Admit(ctx context.Context, appUserID string, refund bool) (adjustments.Call, error) {
	consumer := adjustments.ChargeConsumer
	if refund {
		consumer = adjustments.RefundConsumer
	}
	if pause, paused := a.gate.Delivery(consumer, string(events.Live)); paused {
		return nil, &pausedError{pause}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	forget := context.AfterFunc(a.role, cancel)
	defer forget()
	call, err := a.provider.Admit(ctx, appUserID, refund)
	if err != nil {
		return nil, err // not a nil *budget.Call in an interface
	}
	return call, nil
}
