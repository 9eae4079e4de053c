package adjustments

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// attempt sends the adjustment's stored key and bytes once and commits what
// follows from the outcome. The lease was taken at leasedAt or later; an attempt
// whose time is over before it begins is not sent.
func (t *Teller) attempt(ctx context.Context, call Call, turn Turn, leasedAt time.Time) (progress, error) {
	open := turn.Open
	ctx, turn.trace = t.startAttempt(ctx, turn)
	defer turn.trace.end()
	started := t.Now()
	callCtx, cancel := context.WithTimeout(ctx, CallPatience-started.Sub(leasedAt))
	defer cancel()
	outcome := call.Adjust(callCtx, revenuecat.Request{
		AppUserID: open.AppUserID, IdempotencyKey: open.IdempotencyKey, Body: []byte(open.Body), CreateCustomer: open.Purpose != Refund,
	})
	if !open.UnknownSince.IsZero() && outcome.Kind == economy.Refused {
		// An earlier attempt went unanswered and may have been applied: a refusal of
		// this one (a customer deleted since, say) says nothing about that one.
		outcome.Kind = economy.Unknown
	}
	turn.trace.told(turn, outcome)
	if !outcome.Definite() {
		if done, settled := t.settleByReading(ctx, turn, outcome); settled {
			return done, nil
		}
		return t.indefinite(ctx, open, outcome)
	}
	effects, done := t.settlement(turn, outcome, started)
	result, err := t.Committer.Commit(ctx, effects)
	if err != nil {
		// The outcome is not lost: the same key and bytes will be answered again.
		return progress{}, &Retry{Err: fmt.Errorf("settle adjustment %s: %w", open.ID, err)}
	}
	if result != outbox.Applied {
		return progress{}, &Retry{After: inHandWait, Err: fmt.Errorf("settle adjustment %s: %s", open.ID, result)}
	}
	if outcome.Kind == economy.Applied && len(outcome.Balances) > 0 {
		t.lines.settled(open.AppUserID, outcome.Balances, t.Now())
	}
	return done, nil
}

// indefinite records an attempt that decided nothing and asks for another. An
// unknown outcome is never compensated: only the same key may be sent again.
func (t *Teller) indefinite(ctx context.Context, open *Adjustment, outcome economy.Outcome) (progress, error) {
	attempted := Attempted{AdjustmentID: open.ID, Attempt: open.Attempts, UnknownSince: open.UnknownSince, Error: outcome.Detail}
	if outcome.Kind == economy.Unknown && open.UnknownSince.IsZero() {
		attempted.UnknownSince = t.Now()
	}
	attempted.Conflict = outcome.Status == http.StatusConflict
	attempted.Aside = !open.UnknownSince.IsZero() && t.Now().Sub(open.UnknownSince) >= asideAfter
	result, err := t.Committer.Commit(ctx, outbox.Effects{Guard: attempted, Owner: open.AppUserID})
	if err != nil {
		t.Log.WarnContext(ctx, "attempt not recorded", "adjustment", open.ID, "error", err) // the lease runs out by itself
	}
	retry := &Retry{
		After: outcome.RetryAfter, Err: fmt.Errorf("adjustment %s: %s: %s", open.ID, outcome.Kind, outcome.Detail),
		aside: attempted.Aside && result == outbox.Applied,
	}
	if retry.aside {
		retry.After = asideWait
	}
	return progress{}, retry
}

// settlement is everything that follows from a definite outcome, under the one
// guard that the adjustment was still open.
func (t *Teller) settlement(turn Turn, outcome economy.Outcome, started time.Time) (outbox.Effects, progress) {
	open, now := turn.Open, t.Now()
	settled := Settled{AdjustmentID: open.ID, Attempt: open.Attempts, Outcome: outcome.Kind, At: now, Detail: outcome.Detail}
	if len(outcome.Balances) > 0 {
		settled.AnsweredAsOf = started
	}
	effects := outbox.Effects{
		Guard:   settled,
		Rows:    books.AnsweredBalances(open.AppUserID, outcome.Balances, started),
		Touches: []string{books.PlayerKey(open.AppUserID)},
		Owner:   open.AppUserID,
	}
	if open.Purpose == Charge && outcome.Kind == economy.Insufficient {
		declined := refusedTogether(&effects, turn, outcome, now)
		return effects, progress{settled: ids(declined), bound: len(turn.Spends), refused: len(turn.Spends)}
	}
	for _, spend := range turn.Spends {
		follow(&effects, spend, settle(open.Purpose, spend, outcome, now), now)
	}
	effects.EventsTraced = true
	turn.trace.carry(effects.Events)
	return effects, progress{settled: ids(turn.Spends), bound: len(turn.Spends)}
}
