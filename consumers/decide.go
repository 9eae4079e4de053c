package consumers

import (
	"cmp"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/sluice-gems/sluice/outbox"
)

const (
	// parkAbove is the longest wait left to the broker. Longer ones park in the
	// outbox, where they cost no slot and survive the broker.
	parkAbove = 10 * time.Second
	// brokerTriesMax is the attempt from which on every wait parks, however short.
	// What is owed to a consumer counts as under way for as long as the broker holds
	// an older message of it, so a delivery that keeps failing must not stay there.
	brokerTriesMax = 8
	// panicsMax is the attempt from which on a panic sets the event aside. A panic
	// is a mistake of ours; a few tries tell a race from a rule. Attempts that failed
	// otherwise count too.
	panicsMax = 5
	// dataErrorsMax is the same for effects that the database refuses.
	dataErrorsMax = 5
	// jitterShare spreads waits, so that what failed together does not return together.
	jitterShare = 0.2
)

// Disposition is what happens to a delivery whose attempt failed.
type Disposition struct {
	After time.Duration // how long to wait
	Park  bool          // wait in the outbox, not in the broker
	Dead  bool          // set it aside for an operator
}

// Decide is the whole retry policy, as a pure function. attempt counts from 1;
// jitter is a random number from 0 to 1. Temporary errors are tried for ever,
// with a capped wait; the word of whoever refused (Retry-After, backoff_ms)
// wins over our own backoff.
func Decide(spec Spec, attempt int, err error, jitter float64) Disposition {
	var panicked *panicError
	var data *outbox.DataError
	switch {
	case IsPermanent(err),
		errors.As(err, &panicked) && attempt >= panicsMax,
		errors.As(err, &data) && attempt >= dataErrorsMax:
		return Disposition{Dead: true}
	}
	wait := waitFor(spec.Retry, attempt)
	var told interface{ RetryAfter() time.Duration }
	if errors.As(err, &told) && told.RetryAfter() > 0 {
		wait = told.RetryAfter()
		jitter = 0.5 + jitter/2 // never before the time we were told
	}
	wait += time.Duration((2*jitter - 1) * jitterShare * float64(wait))
	var place interface{ Parks() bool } // whoever refused knows that it takes long
	parks := errors.As(err, &place) && place.Parks()
	return Disposition{After: wait, Park: parks || wait > parkAbove || attempt >= brokerTriesMax}
}

// waitFor is the exponential backoff before jitter.
func waitFor(policy RetryPolicy, attempt int) time.Duration {
	shape := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(cmp.Or(policy.Min, RetryMinDefault)),
		backoff.WithMaxInterval(cmp.Or(policy.Max, RetryMaxDefault)),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0),
		backoff.WithMaxElapsedTime(0),
	)
	wait := shape.NextBackOff()
	for range min(attempt, 64) - 1 {
		wait = shape.NextBackOff()
	}
	return wait
}
