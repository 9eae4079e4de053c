package budget

import (
	"context"
	"errors"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// Call is one adjustment that may start now: its permit is taken and, when the
// circuit is open, the probe. Make it at once or give it back: the permit lapses
// within 250 ms. It is for one goroutine.
type Call struct {
	provider *Provider
	attempt  *attempt // nil: made, or given back
}

// Admit waits, for at most about a second, until an adjustment of the player may
// start. refund says that it gives gems back that are owed. It asks before anything
// is prepared, so that what may not start leaves no trace. Errors: those of Take, and
// *NotYet while the circuit is open.
func (p *Provider) Admit(ctx context.Context, appUserID string, refund bool) (*Call, error) {
	weight := p.adjust
	if refund {
		weight = Refund
	}
	a, err := p.budget.begin(ctx, revenuecat.Transactions, weight, appUserID)
	if err != nil {
		return nil, err
	}
	return &Call{provider: p, attempt: a}, nil
}

// Adjust makes the call. When it may no longer start, since preparing it took too
// long or a pause has come, it is Provider.Adjust: it asks again. One permit covers
// a customer created on the way, which is rare: the headroom is for it. A second
// call is a mistake; it, too, asks again.
func (c *Call) Adjust(ctx context.Context, r revenuecat.Request) economy.Outcome {
	p, a := c.provider, c.attempt
	if a == nil || !a.good() {
		c.Unused()
		return p.Adjust(ctx, r)
	}
	c.attempt = nil
	ctx, done := a.context(ctx)
	defer done()
	outcome := p.client.Adjust(ctx, r)
	a.end(ctx, outcome.Status)
	if !outcome.Definite() && outcome.RetryAfter == 0 {
		outcome.RetryAfter = p.budget.untilProbe() // sooner would be in vain, later a waste
	}
	return outcome
}

// Unused gives the call back. After Adjust, or a second time, it does nothing.
func (c *Call) Unused() {
	if c.attempt != nil {
		c.attempt.drop()
		c.attempt = nil
	}
}

// notSent is the outcome of a call that may not start.
func notSent(err error) economy.Outcome {
	outcome := economy.Outcome{Kind: economy.Temporary, Detail: err.Error()}
	if notYet, ok := errors.AsType[*NotYet](err); ok {
		outcome.RetryAfter = notYet.After
	}
	return outcome
}
