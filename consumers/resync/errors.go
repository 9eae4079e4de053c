package resync

import (
	"errors"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// later is an error that says when to come back.
type later struct {
	error
	after time.Duration
}

// RetryAfter returns when to come back at the earliest.
func (l later) RetryAfter() time.Duration { return l.after }

// Expected reports whether that is no failure: a claim waits for the store to tell of
// its purchase.
func (l later) Expected() bool { return errors.Is(l.error, errNotYetKnown) }

// Unwrap returns the cause.
func (l later) Unwrap() error { return l.error }

// failed classifies what the provider said to a read. A refusal for good, a 400 or
// an id that cannot be asked for, is a dead letter: the next try would be refused as
// well. A 404 of a list after its customer was found is a race, and tried again.
func failed(err error) error {
	failure, ok := errors.AsType[*revenuecat.Error](err)
	switch {
	case !ok:
		return err
	case failure.Code == revenuecat.CodeNoAddress, failure.Status == http.StatusBadRequest, failure.Status == http.StatusUnprocessableEntity:
		return consumers.Permanent(err)
	case failure.RetryAfter > 0:
		return later{err, failure.RetryAfter}
	}
	return err
}
