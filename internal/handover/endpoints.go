package handover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// unknownWait is when to come back to an endpoint that nobody has configured.
const unknownWait = 15 * time.Second

// Endpoints are all that a process knows, by name.
type Endpoints struct {
	byName map[string]*Endpoint
	slots  int
}

// NewEndpoints returns the endpoints of the configs; every problem is reported.
func NewEndpoints(configs []Config) (*Endpoints, error) {
	e := &Endpoints{byName: map[string]*Endpoint{}}
	var problems []error
	for _, cfg := range configs {
		endpoint, err := New(cfg)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		e.byName[cfg.Name] = endpoint
		e.slots += cap(endpoint.lane.slots)
	}
	return e, errors.Join(problems...)
}

// Room is how many callers the endpoints keep at most at any moment: those with a
// request under way and those who wait for a slot. A consumer that has so much more
// room than it needs is never held up by them.
func (e *Endpoints) Room() int { return 2 * e.slots }

// Grant is Endpoint.Grant of the named one. An endpoint that is not configured says
// later: it is our mistake, and no reason to give up on a spend.
func (e *Endpoints) Grant(ctx context.Context, name string, s economy.Spend) Outcome {
	if endpoint, ok := e.byName[name]; ok {
		return endpoint.Grant(ctx, s)
	}
	return unknown(name)
}

// Check is Endpoint.Check of the named one.
func (e *Endpoints) Check(ctx context.Context, name string, s economy.Spend) Outcome {
	if endpoint, ok := e.byName[name]; ok {
		return endpoint.Check(ctx, s)
	}
	return unknown(name)
}

// Revoke is Endpoint.Revoke of the named one.
func (e *Endpoints) Revoke(ctx context.Context, name string, s economy.Spend, before func() bool) Outcome {
	if endpoint, ok := e.byName[name]; ok {
		return endpoint.Revoke(ctx, s, before)
	}
	return unknown(name)
}

// Close closes idle connections.
func (e *Endpoints) Close() {
	for _, endpoint := range e.byName {
		endpoint.Close()
	}
}

func unknown(name string) Outcome {
	return Outcome{Kind: Later, After: unknownWait, Park: true, Detail: fmt.Sprintf("not asked: SLUICE_HANDOVER_URL names no endpoint %q", name)}
}
