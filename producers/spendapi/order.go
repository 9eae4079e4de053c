package spendapi

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// order is what a client asks to have accepted: a spend or a grant.
type order struct {
	spend   economy.Spend            // as it is once it is accepted
	request string                   // the id of the request that asks, as the log has it
	limit   int64                    // of the item per player; 0: none
	refused *problem                 // why it is not acceptable; a key used before is answered all the same
	same    func(economy.Spend) bool // reports whether what the key made before is this very order
}

// taken is what became of an order that has its row.
type taken struct {
	spend    economy.Spend
	repeated bool    // the key made it before
	waiter   *Waiter // waits for the outcome; nil when nobody does. Release it
}

// take commits an order. A key that was used before goes on telling what it did,
// also when the order would be refused now, or the player has too many open.
func (a *API) take(ctx context.Context, o order, patience time.Duration) (taken, *problem) {
	if o.refused != nil {
		again, p := a.again(ctx, o)
		if p != nil && errors.Is(p.cause, books.ErrNotFound) {
			p = o.refused
		}
		return again, p
	}
	if a.pressure.high(o.spend.AcceptedAt) {
		return taken{}, overloaded(errors.New("commits are slow"))
	}
	// Before the commit: the outcome may be there before the commit's answer is.
	waiter := a.waiters.Register(o.spend.ID, patience)
	result, err := a.commit(ctx, o)
	if err == nil && result == outbox.Applied {
		return taken{spend: o.spend, waiter: waiter}, nil
	}
	waiter.Release()
	switch {
	case err != nil:
		p := commitFailed(ctx, err)
		p.spendID = o.spend.ID // it may be committed: the log is where to look it up
		return taken{}, p
	case result == outbox.Duplicate:
		return a.again(ctx, o)
	}
	return taken{}, a.full(ctx, o)
}

// commit makes the order durable together with the event that has it settled.
func (a *API) commit(ctx context.Context, o order) (outbox.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptPatience)
	defer cancel()
	spend := o.spend
	effects := outbox.Effects{
		Guard:  books.Accept{Spend: spend, RequestID: o.request, PlayerLimit: o.limit, OpenMax: a.openMax},
		Events: []events.Event{events.NewSpendRequested(spend.ID, spend.AppUserID, spend.AcceptedAt)},
		Owner:  spend.AppUserID,
		Intake: true,
	}
	if o.limit > 0 {
		if err := a.books.OpenCounter(ctx, spend.AppUserID, spend.Item); err != nil {
			return 0, err
		}
		effects.Touches = []string{books.LimitKey(spend.AppUserID, spend.Item)}
	}
	started := time.Now()
	result, err := a.committer.Commit(ctx, effects)
	if err == nil {
		a.pressure.observe(time.Since(started), a.now())
	}
	return result, err
}

// full tells which limit an order met. When both may be it, the one that passes by
// itself is named unless the other is reached for certain: an app takes 403 for
// the last word.
func (a *API) full(ctx context.Context, o order) *problem {
	limitReached := a.openMax == 0
	if !limitReached && o.limit > 0 {
		reading, cancel := context.WithTimeout(ctx, readOnePatience)
		defer cancel()
		used, err := a.books.Used(reading, o.spend.AppUserID, o.spend.Item)
		if err != nil {
			return failed(ctx, err)
		}
		limitReached = used+o.spend.Quantity > o.limit
	}
	if limitReached {
		return problemf(LimitReached, "One player may have %d of %q.", o.limit, o.spend.Item)
	}
	p := problemf(TooManyOpenSpends, "The player has %d spends and grants that are still to be settled, and may have no more. Send the same request with the same idempotency key again.", a.openMax)
	p.retryAfter = openRetry
	return p
}

// again returns what an order's key made before. The problem's cause is
// books.ErrNotFound when it made nothing.
func (a *API) again(ctx context.Context, o order) (taken, *problem) {
	reading, cancel := context.WithTimeout(ctx, readOnePatience)
	defer cancel()
	spend, err := a.books.SpendByKey(reading, o.spend.AppUserID, o.spend.IdempotencyKey)
	if err != nil {
		return taken{}, failed(ctx, err)
	}
	if !o.same(spend) {
		p := problemf(IdempotencyKeyReused, "This key belongs to a spend of %d x %q. Make a new key for another purchase.", spend.Quantity, spend.Item)
		if spend.Kind == economy.KindGrant {
			p = problemf(IdempotencyKeyReused, "This key belongs to a grant of %s. Make a new key for anything else.", spend.Cost)
		}
		p.spend = &spend
		return taken{}, p
	}
	return taken{spend: spend, repeated: true}, nil
}

// commitFailed turns an error of the commit into a problem. A DataError is a
// mistake of ours: whatever a client can send was checked before.
func commitFailed(ctx context.Context, err error) *problem {
	switch {
	case gone(ctx):
		return &problem{cause: errGone}
	case errors.Is(err, outbox.ErrOverloaded):
		return overloaded(err)
	case errors.Is(err, outbox.ErrUnavailable), errors.Is(err, outbox.ErrClosed):
		return unavailable(err)
	}
	if dataError, ok := errors.AsType[*outbox.DataError](err); ok {
		return internal(dataError)
	}
	return failed(ctx, err)
}

func overloaded(cause error) *problem {
	p := problemf(Overloaded, "Nothing was accepted. Send the same request with the same idempotency key again.")
	p.retryAfter, p.cause = overloadedRetry, cause
	return p
}
