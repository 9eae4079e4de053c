package budget

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// Admit returns what lets a reader's calls start, each on a permit of its own, of a
// weight. To read a customer takes several calls, and giving up in the middle wastes
// those made: so a call that may start within patience is waited for. What takes
// longer is a *NotYet, as of Take.
func (b *Budget) Admit(weight Weight, patience time.Duration) revenuecat.Admit {
	return func(ctx context.Context, domain revenuecat.Domain, player string) (context.Context, func(int), error) {
		a, err := b.beginWithin(ctx, domain, weight, player, patience)
		if err != nil {
			return nil, nil, err
		}
		calling, done := a.context(ctx)
		return calling, func(status int) { a.end(calling, status); done() }, nil
	}
}

func (b *Budget) beginWithin(ctx context.Context, domain revenuecat.Domain, weight Weight, player string, patience time.Duration) (*attempt, error) {
	deadline := b.config.Now().Add(patience)
	for {
		a, err := b.begin(ctx, domain, weight, player)
		notYet, ok := errors.AsType[*NotYet](err)
		if !ok || b.config.Now().Add(notYet.After).After(deadline) {
			return a, err
		}
		timer := time.NewTimer(max(notYet.After, b.config.Lease/10))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-b.ctx.Done():
			timer.Stop()
			return nil, errClosed
		}
	}
}
