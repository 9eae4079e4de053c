package adjustments

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// progress is what one step did.
type progress struct {
	settled []string // spends
	bound   int      // spends of the adjustment
	refused int      // the same, when it was refused for lack of funds
	more    bool     // there may be more to do
}

// work is what a worker came to a player for.
type work struct {
	refund bool // to give a spend's cost back; else to charge what waits
	bind   func(context.Context, Turn) (Turn, error)
}

// step finishes the open adjustment, or binds the next and settles that. Nothing is
// bound before its call may start: until then spends wait together, and what may not
// start leaves no trace.
func (t *Teller) step(ctx context.Context, appUserID string, next work) (done progress, err error) {
	defer func() {
		if err != nil {
			t.lines.forget(appUserID) // what is in mind of the player may be why
		}
	}()
	turn, err := t.turn(ctx, appUserID)
	if err != nil {
		return progress{}, err
	}
	if turn.Open != nil {
		return t.finishOpen(ctx, turn)
	}
	if !next.refund && len(turn.Waiting) == 0 {
		return progress{}, nil
	}
	call, waited, err := t.admit(ctx, appUserID, next.refund)
	if err != nil {
		return progress{}, err
	}
	defer call.Unused()
	if waited {
		if turn, err = t.turn(ctx, appUserID); err != nil {
			return progress{}, err
		}
		if turn.Open != nil { // another process was faster
			return progress{more: true}, nil
		}
	}
	bound, err := next.bind(ctx, turn)
	if err != nil || bound.Open == nil {
		return progress{}, err
	}
	done, err = t.attempt(ctx, call, bound, bound.Open.OpenedAt)
	done.more = len(turn.Waiting) > len(done.settled)
	return done, err
}

// turn reads what there is to do for a player; of one whose adjustment was settled here
// a moment ago only what waits, if anything does.
func (t *Teller) turn(ctx context.Context, appUserID string) (Turn, error) {
	if line, ok := t.lines.recall(appUserID, t.Now()); ok {
		turn, err := t.Turns.Waiting(ctx, appUserID, line.from, waitingMax)
		if err != nil {
			return Turn{}, &Retry{Err: err}
		}
		if len(turn.Waiting) > 0 {
			turn.Known = line.known
			t.lines.saw(appUserID, turn.Place, t.Now())
			return turn, nil
		}
	}
	turn, err := t.Turns.Turn(ctx, appUserID, waitingMax)
	if err != nil {
		return Turn{}, &Retry{Err: err}
	}
	return turn, nil
}

// finishOpen adopts the player's open adjustment. Whoever sees to it that it steps
// aside passes it at once, rather than wait with it.
func (t *Teller) finishOpen(ctx context.Context, turn Turn) (progress, error) {
	done, err := t.adopt(ctx, turn)
	if retry, ok := errors.AsType[*Retry](err); ok && retry.aside {
		err = nil
	}
	done.more = true
	return done, err
}

// bindWaiting binds the oldest waiting spends, together at most limit and as
// many as the last known balance covers, to a new adjustment; none is open
// afterwards when none waits.
func (t *Teller) bindWaiting(ctx context.Context, turn Turn, limit int) (Turn, error) {
	if grantIsNext(turn.Waiting) {
		return t.bindGrant(ctx, turn)
	}
	waiting := untilGrant(turn.Waiting)
	n := economy.Coalesced(waiting, turn.Known, limit)
	if n == 0 {
		return Turn{}, nil
	}
	return t.bind(ctx, newCharge(t.NewID(), waiting[:n], revenuecat.Body), waiting[:n], waiting[n:])
}

// bind commits the adjustment before anybody calls. What else waits is kept in the
// turn, as far as a refusal would decline it on its evidence. A stale bind lost
// against somebody else, whose work the next look will show.
func (t *Teller) bind(ctx context.Context, adjustment Adjustment, spends, waiting []economy.Spend) (Turn, error) {
	beside := declinedBeside(adjustment, waiting)
	adjustment.LeasedBy, adjustment.OpenedAt, adjustment.Attempts = t.Process, t.Now(), 1
	result, err := t.Committer.Commit(ctx, outbox.Effects{
		Guard: Bind{Adjustment: adjustment, Spends: spends, Beside: beside, Lease: leaseTime}, Owner: adjustment.AppUserID,
	})
	if err != nil {
		return Turn{}, &Retry{Err: fmt.Errorf("bind adjustment: %w", err)}
	}
	if result != outbox.Applied {
		return Turn{}, &Retry{After: inHandWait, Err: fmt.Errorf("bind adjustment: %s", result)}
	}
	bound := slices.Clone(spends)
	for i := range bound {
		if adjustment.Purpose != Refund {
			bound[i].AdjustmentID = adjustment.ID
		}
	}
	return Turn{Open: &adjustment, Spends: bound, Waiting: beside}, nil
}

// adopt takes the lease of an adjustment somebody left open and finishes it.
func (t *Teller) adopt(ctx context.Context, turn Turn) (progress, error) {
	open := turn.Open
	if open.LeasedBy != t.Process && open.LeasedFor > 0 {
		return progress{}, &Retry{After: min(open.LeasedFor, inHandWait), Err: fmt.Errorf("adjustment %s: another process has it", open.ID)}
	}
	call, _, err := t.admit(ctx, open.AppUserID, open.Purpose == Refund)
	if err != nil {
		return progress{}, err
	}
	defer call.Unused()
	leasedAt := t.Now()
	result, err := t.Committer.Commit(ctx, outbox.Effects{
		Guard: Lease{AdjustmentID: open.ID, Process: t.Process, Attempt: open.Attempts + 1, For: leaseTime}, Owner: open.AppUserID,
	})
	if err != nil {
		return progress{}, &Retry{Err: fmt.Errorf("adopt adjustment %s: %w", open.ID, err)}
	}
	if result != outbox.Applied {
		return progress{}, &Retry{After: inHandWait, Err: fmt.Errorf("adopt adjustment %s: %s", open.ID, result)}
	}
	open.Attempts++
	if open.LeasedBy != "" && open.UnknownSince.IsZero() {
		open.UnknownSince = leasedAt // the attempt before was not recorded: it may have been made, and applied
	}
	return t.attempt(ctx, call, turn, leasedAt)
}

func ids(spends []economy.Spend) []string {
	list := make([]string, len(spends))
	for i, spend := range spends {
		list[i] = spend.ID
	}
	return list
}
