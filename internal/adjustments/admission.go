package adjustments

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Admission says which call to the provider may start when; internal/budget does.
type Admission interface {
	// Admit waits, for at most about a second, until a call for the player may start.
	// refund says that it gives gems back that are owed. An error means that the call
	// may not start; its method RetryAfter, if it has one, says when to come back.
	Admit(ctx context.Context, appUserID string, refund bool) (Call, error)
}

// Call is one call that may start now.
type Call interface {
	// Provider makes the call, at once. What may not start any more is temporary.
	Provider
	// Unused gives the call back that is not made. After the call it does nothing.
	Unused()
}

// always lets every call start at once.
type always struct{ Provider }

// Admit implements Admission.
func (a always) Admit(context.Context, string, bool) (Call, error) { return a, nil }

// Unused implements Call.
func (always) Unused() {}

// lookAgainAfter is the wait from which on a player's spends are read again before
// they are bound: more may have come. It is longer than such a read takes.
const lookAgainAfter = 10 * time.Millisecond

// admit asks for a call. Whoever is sent away has committed nothing.
func (t *Teller) admit(ctx context.Context, appUserID string, refund bool) (call Call, waited bool, err error) {
	asked := t.Now()
	call, err = t.Admission.Admit(ctx, appUserID, refund)
	if err != nil {
		retry := &Retry{SentAway: true, Err: fmt.Errorf("wait for the provider: %w", err)}
		var told interface{ RetryAfter() time.Duration }
		if errors.As(err, &told) {
			retry.After = told.RetryAfter()
		}
		return nil, false, retry
	}
	return call, t.Now().Sub(asked) >= lookAgainAfter, nil
}
