package adjustments

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// Refund gives the cost of a refunding spend back. It returns nil once the
// refund is settled: applied, or refused for good and left to an operator.
// Errors are those of Charge, but never ErrInHand: it asks to be called again.
func (t *Teller) Refund(ctx context.Context, spend economy.Spend) error {
	if t.players.take(spend.AppUserID, false, false) != taken {
		return inHand("refund of spend " + spend.ID)
	}
	defer t.players.abandon(spend.AppUserID)
	if !spend.UnknownSince.IsZero() {
		if err := t.resolve(ctx, spend); err != nil {
			return err
		}
	}
	refund := work{refund: true, bind: func(ctx context.Context, _ Turn) (Turn, error) {
		refused, err := t.refusedBefore(ctx, spend)
		if err != nil {
			return Turn{}, err
		}
		return t.bind(ctx, newRefund(t.NewID(), spend, refused, revenuecat.Body), []economy.Spend{spend}, nil)
	}}
	for {
		done, err := t.step(ctx, spend.AppUserID, refund)
		if err != nil || slices.Contains(done.settled, spend.ID) {
			return err
		}
	}
}

// Resolve asks once more about a spend whose adjustment stepped aside because
// its outcome stayed unknown, under the same key. It returns nil when that settled
// it, or when it has no such adjustment; *Retry when that set it free again, since
// then it is to be charged like any other. Other errors are those of Refund.
func (t *Teller) Resolve(ctx context.Context, spend economy.Spend) error {
	if t.players.take(spend.AppUserID, false, false) != taken {
		return inHand(spend.ID)
	}
	defer t.players.abandon(spend.AppUserID)
	return t.resolve(ctx, spend)
}

func (t *Teller) resolve(ctx context.Context, spend economy.Spend) error {
	turn, err := t.Turns.Aside(ctx, spend)
	if err != nil {
		return &Retry{Err: err}
	}
	if turn.Open == nil {
		return nil
	}
	switch done, err := t.adopt(ctx, turn); {
	case err != nil:
		return err
	case len(done.settled) == 0:
		return &Retry{After: inHandWait, Err: fmt.Errorf("adjustment %s was not applied: its spends wait again", turn.Open.ID)}
	}
	return nil
}

// inHand asks to come back to a player whom somebody works for who makes no promise.
func inHand(what string) error {
	return &Retry{After: inHandWait, Err: fmt.Errorf("%s: the player is in hand", what)}
}
