package simulation

import (
	"context"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// admission models the budget: it lets a worker wait, and sends it away or lets its
// call start. Everything else may happen meanwhile.
type admission struct {
	*process
	next adjustments.Provider
}

// sentAway says that a call may not start, and when to come back.
type sentAway time.Duration

func (s sentAway) Error() string             { return "not sent: the provider's calls are spent" }
func (s sentAway) RetryAfter() time.Duration { return time.Duration(s) }

// Admit implements adjustments.Admission.
func (a admission) Admit(_ context.Context, player string, _ bool) (adjustments.Call, error) {
	if a.faults.CallHeld > 0 { // with budget to spare there is nothing to wait for
		a.pause("admission of " + player)
	}
	if a.chance(a.faults.CallHeld) {
		a.met("sent away")
		waits := []time.Duration{0, time.Second, 30 * time.Second}
		return nil, sentAway(waits[a.random.IntN(len(waits))])
	}
	a.process.admitted++
	return &admittedCall{admission: a}, nil
}

// admittedCall is a permit: it is used, or given back.
type admittedCall struct {
	admission
	over bool
}

// Adjust implements adjustments.Call.
func (c *admittedCall) Adjust(ctx context.Context, r revenuecat.Request) economy.Outcome {
	if c.over {
		c.broken("a call of %s was made twice, or after it was given back", r.AppUserID)
	}
	c.end()
	return c.next.Adjust(ctx, r)
}

// Unused implements adjustments.Call.
func (c *admittedCall) Unused() {
	if !c.over {
		c.met("admitted and not called")
		c.end()
	}
}

func (c *admittedCall) end() {
	c.over = true
	c.process.admitted--
}
