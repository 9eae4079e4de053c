package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// patiently looks as soon as the provider can be asked: while the budget or the
// provider names a wait, however often. A customer who cannot be read for another
// reason is unjudged after some tries; the run goes on.
func (r *Runner) patiently(ctx context.Context, customer economy.Customer) (seen, error) {
	for failed := 0; ; {
		s, err := r.look(ctx, customer)
		wait, ofProvider := toldToWait(err)
		if err == nil || !ofProvider || ctx.Err() != nil {
			return s, err
		}
		if wait == 0 {
			failed++
		}
		if failed >= looksMax {
			s.why = "the provider does not tell the balance: " + err.Error()
			return s, nil
		}
		if err := r.sleep(ctx, min(max(wait, time.Second), waitMax)); err != nil {
			return s, err
		}
	}
}

// toldToWait is the wait that an error of the provider or of the budget names; 0: none.
func toldToWait(err error) (wait time.Duration, ofProvider bool) {
	if failure, ok := errors.AsType[*revenuecat.Error](err); ok {
		return failure.RetryAfter, true
	}
	var notYet interface{ RetryAfter() time.Duration }
	if errors.As(err, &notYet) {
		return max(notYet.RetryAfter(), time.Second), true
	}
	return 0, false
}

func (r *Runner) sleep(ctx context.Context, length time.Duration) error {
	if r.Wait != nil {
		return r.Wait(ctx, length)
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
