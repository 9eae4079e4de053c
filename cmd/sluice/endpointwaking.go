package main

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// wakeAgain is when those are woken too who were sent away while the others were.
const wakeAgain = 2 * time.Second

// startWaking has the deliveries come back that wait for an endpoint, as soon as it
// answers again, until stop. What is missed comes back in its own time.
func (p *process) startWaking(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	for name, returned := range p.returned {
		group.Go(func() { p.wakeReturned(ctx, name, returned) })
	}
	return func() { cancel(); group.Wait() }
}

func (p *process) wakeReturned(ctx context.Context, name string, returned <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-returned:
		}
		p.wakeWaiting(ctx, name)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wakeAgain):
		}
		p.wakeWaiting(ctx, name)
	}
}

func (p *process) wakeWaiting(ctx context.Context, endpoint string) {
	for _, consumer := range []string{fulfil.Spec.Name, compensate.Spec.Name} {
		n, err := outbox.Wake(ctx, p.db, consumer, handover.Why(endpoint))
		switch {
		case err != nil && ctx.Err() == nil:
			p.log.WarnContext(ctx, "what waits for an endpoint comes back in its own time", "endpoint", endpoint, "error", err)
		case n > 0:
			p.log.InfoContext(ctx, "what waited for an endpoint comes back", "endpoint", endpoint, "consumer", consumer, "deliveries", n)
		}
	}
}
