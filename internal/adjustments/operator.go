package adjustments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// ErrNothingUnknown says that the spend has no adjustment of unknown outcome.
var ErrNothingUnknown = errors.New("the spend has no adjustment of unknown outcome: there is nothing to settle by hand")

// TriedAgainError says that the provider was asked again after the operator looked: what
// was true then may not be any more.
type TriedAgainError struct{ Seen, Now int64 } // attempts

// Error implements error.
func (e *TriedAgainError) Error() string {
	return fmt.Sprintf("the provider was asked again since you looked: you saw attempt %d, the latest is %d", e.Seen, e.Now)
}

// Decision is what an operator found out about an adjustment of unknown outcome,
// from the provider's dashboard, its ledger export or its support.
type Decision struct {
	Attempt int64  // the latest attempt that was over when the operator looked
	Applied bool   // the provider did change the balance
	Reason  string // how the operator knows; kept with the adjustment
	By      string // who says so; empty: an operator
}

// Decide settles the unknown adjustment of a spend by an operator's word, and
// with it every spend that the same call was to charge. A charge that was not
// applied is declined as cancelled, since by now its player no longer expects it;
// a refund that was not applied stays refunding and needs an operator.
//
// Errors: ErrNothingUnknown; *TriedAgainError; an error that says who has it in hand;
// what Commit returns. A second call finds nothing unknown.
func Decide(ctx context.Context, turns Turns, committer Committer, spend economy.Spend, decision Decision, now time.Time) ([]economy.Spend, error) {
	turn, err := unknownTurn(ctx, turns, spend)
	if err != nil {
		return nil, err
	}
	open := turn.Open
	if open.LeasedBy != "" && open.LeasedFor > 0 {
		return nil, fmt.Errorf("a worker asks the provider about adjustment %s right now: look again in %s", open.ID, open.LeasedFor.Round(time.Second))
	}
	if open.Attempts != decision.Attempt {
		return nil, &TriedAgainError{Seen: decision.Attempt, Now: open.Attempts}
	}
	effects, settled := decided(turn, decision, now)
	passOn(ctx, turns, turn, &effects)
	switch result, err := committer.Commit(ctx, effects); {
	case err != nil:
		return nil, fmt.Errorf("settle adjustment %s: %w", open.ID, err)
	case result != outbox.Applied:
		return nil, fmt.Errorf("adjustment %s was settled or asked about meanwhile: look again", open.ID)
	}
	return settled, nil
}

// unknownTurn finds the adjustment, whether it stepped aside already or is still
// the player's open one.
func unknownTurn(ctx context.Context, turns Turns, spend economy.Spend) (Turn, error) {
	turn, err := turns.Aside(ctx, spend)
	if err != nil || turn.Open != nil {
		return turn, err
	}
	turn, err = turns.Turn(ctx, spend.AppUserID, waitingMax)
	switch {
	case err != nil:
		return Turn{}, err
	case turn.Open == nil || turn.Open.UnknownSince.IsZero() || (turn.Open.ID != spend.AdjustmentID && turn.Open.SpendID != spend.ID):
		return Turn{}, ErrNothingUnknown
	}
	return turn, nil
}

func decided(turn Turn, decision Decision, now time.Time) (outbox.Effects, []economy.Spend) {
	by := cmp.Or(decision.By, "an operator")
	outcome := economy.Outcome{Kind: economy.Refused, Detail: "settled by " + by + " as not applied: " + decision.Reason}
	if decision.Applied {
		outcome = economy.Outcome{Kind: economy.Applied, Detail: "settled by " + by + " as applied: " + decision.Reason}
	}
	open := turn.Open
	effects := outbox.Effects{
		Guard:   Settled{AdjustmentID: open.ID, Attempt: open.Attempts, Outcome: outcome.Kind, At: now, Detail: outcome.Detail},
		Touches: []string{books.PlayerKey(open.AppUserID)}, Owner: open.AppUserID,
	}
	settled := make([]economy.Spend, 0, len(turn.Spends))
	for _, spend := range turn.Spends {
		change := settle(open.Purpose, spend, outcome, now)
		if change.Spend.State == economy.Declined {
			change.Spend.Reason = economy.Cancelled
		}
		follow(&effects, spend, change, now)
		settled = append(settled, change.Spend)
	}
	return effects, settled
}
