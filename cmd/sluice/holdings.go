package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/access"
	"github.com/sluice-gems/sluice/consumers/mirror"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// newAccess builds the consumer access.
func newAccess(p *process, _ *adjustments.Teller) consumers.Consumer {
	return access.Consumer{
		Store: purchases.NewStore(p.reads), Catalogs: p.catalogs, Testers: p.config.SandboxTesters, Now: clock,
		Unknown: &access.Unknown{Log: p.log, Now: clock},
	}
}

// newMirror builds the consumer mirror. What it has read again is read by the
// process's freshener, which work runs.
func newMirror(p *process, _ *adjustments.Teller) consumers.Consumer {
	metrics := mirror.NewMetrics(p.registry)
	p.freshener = mirror.NewFreshener(idleReadings{p.provider}, p.books, clock, p.log, metrics)
	return mirror.Consumer{
		Store: purchases.NewStore(p.reads), Twins: adjustments.Store{DB: p.db}, Freshener: p.freshener, Metrics: metrics, Now: clock,
	}
}

// idlePatience is how long a reading that nobody waits for stands in line.
const idlePatience = time.Second

// idleReadings reads balances with what the budget has to spare: a burst of
// purchases must not take calls from players who wait.
type idleReadings struct{ *provider }

// Balances implements mirror.Provider.
func (r idleReadings) Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error) {
	calling, end, err := r.budget.Admit(budget.Backfill, idlePatience)(ctx, revenuecat.CustomerInformation, appUserID)
	if err != nil {
		return revenuecat.Reading{}, err
	}
	reading, err := r.client.Balances(calling, appUserID)
	status := http.StatusOK
	if failure, ok := errors.AsType[*revenuecat.Error](err); ok {
		status = failure.Status
	}
	end(status)
	return reading, err
}

// freshen reads balances that the provider moved, and has purchases folded that the
// catalogue knows by now, until ctx ends or what it returns is called, which waits for
// the end.
func (p *process) freshen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	if p.freshener != nil {
		running.Go(func() { p.freshener.Run(ctx) })
	}
	catchUp := access.CatchUp{Store: purchases.NewStore(p.reads), Catalogs: p.catalogs, Committer: p.unhurried, Now: clock, Log: p.log}
	running.Go(func() { catchUp.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// committerFor returns who commits what a consumer wants changed. Consumers that no
// player waits for have one of their own: their batches hold other kinds of rows, and
// each mixture is a statement of its own to plan.
func (p *process) committerFor(spec consumers.Spec) *outbox.Committer {
	if slices.Contains(spec.Lanes, events.Live) {
		return p.committer
	}
	return p.unhurried
}
