package operations

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// callLook and callPatience are how often, and how long, a cancel looks for the end of
	// a call that is under way for the player: usual ones take a fifth of a second.
	callLook     = 100 * time.Millisecond
	callPatience = 2 * time.Second
)

// Cancel declines a spend or grant that is not charged yet: requested -> declined
// (cancelled). It is refused once a call to the provider may move its cost. Which of
// the two comes first, the charge or the cancel, the database decides.
//
// The spend is held first, so that no call begins for it; a call for its player that is
// under way, whose refusal might decline it as well, is given two seconds to end.
//
// Errors: ErrNotFound; *RefusedError. When that call has not ended the spend stays
// held: cancel it again a little later, or release it.
func (d *Desk) Cancel(ctx context.Context, who Who, reason, spendID string) (economy.Spend, error) {
	before, err := d.toldOfSpend(ctx, who, reason, spendID)
	if err != nil {
		return economy.Spend{}, err
	}
	s := before
	for deadline := time.Now().Add(d.Patience); ; {
		switch {
		case s.State != economy.Requested:
			return s, d.letGo(ctx, who, reason, before, s, refused("%s is not waiting to be charged any more", s))
		case s.AdjustmentID != "":
			return s, d.letGo(ctx, who, reason, before, s, refused("%s is being charged: a call to the provider may have taken its cost already", s))
		case !s.Held:
			if _, err := d.hold(ctx, who, reason, s, true); err != nil {
				if err := refusal(err); err != nil {
					return s, err
				}
			}
		default:
			if done, err := d.cancel(ctx, who, reason, s); err == nil {
				return done, nil
			} else if err := refusal(err); err != nil {
				return s, err
			}
			if time.Now().After(deadline) {
				return s, refused("%s is held, and cannot be cancelled yet: a call for its player is under way that may decline it. Cancel it again in a few seconds", s)
			}
			select {
			case <-ctx.Done():
				return s, ctx.Err()
			case <-time.After(callLook):
			}
		}
		if s, err = d.spend(ctx, spendID); err != nil {
			return economy.Spend{}, err
		}
	}
}

// refusal returns nil for a refusal, after which one looks again, and any other error.
func refusal(err error) error {
	if _, ok := err.(*RefusedError); ok { //nolint:errorlint // commitSpend returns it bare
		return nil
	}
	return err
}

// letGo ends the hold that a cancel began in vain, and one that nothing waits for.
func (d *Desk) letGo(ctx context.Context, who Who, reason string, before, s economy.Spend, why error) error {
	if s.Held && (!before.Held || s.State != economy.Requested) {
		_, err := d.hold(ctx, who, reason, s, false)
		if err := refusal(err); err != nil {
			return err
		}
	}
	return why
}

func (d *Desk) cancel(ctx context.Context, who Who, reason string, s economy.Spend) (economy.Spend, error) {
	change := economy.Cancel(s, d.Now())
	after := change.Spend
	return after, d.commitSpend(ctx, outbox.Effects{
		Guard: cancelling{after.ID, after.Reason, after.FinishedAt}, Rows: books.With(change, after.FinishedAt),
		Done: []outbox.Delivery{waiting(s)}, Notices: []events.Notice{{Spend: after}},
	}, d.act(who, reason, DeedCancel, s.ID, s.AppUserID, spendSide(s), spendSide(after)), s)
}

// Hold keeps a requested or refunding spend from being called for: what is under way
// is still settled. Errors: ErrNotFound; *RefusedError.
func (d *Desk) Hold(ctx context.Context, who Who, reason, spendID string) (economy.Spend, error) {
	s, err := d.toldOfSpend(ctx, who, reason, spendID)
	switch {
	case err != nil:
		return economy.Spend{}, err
	case s.Held:
		return s, refused("%s is held already", s)
	case s.State != economy.Requested && s.State != economy.Refunding:
		return s, refused("%s: only what waits for a call to the provider can be held", s)
	}
	return d.hold(ctx, who, reason, s, true)
}

// Release ends a hold; the spend goes on within about two seconds. Errors: ErrNotFound;
// *RefusedError.
func (d *Desk) Release(ctx context.Context, who Who, reason, spendID string) (economy.Spend, error) {
	s, err := d.toldOfSpend(ctx, who, reason, spendID)
	switch {
	case err != nil:
		return economy.Spend{}, err
	case !s.Held:
		return s, refused("%s is not held", s)
	}
	return d.hold(ctx, who, reason, s, false)
}

func (d *Desk) hold(ctx context.Context, who Who, reason string, s economy.Spend, held bool) (economy.Spend, error) {
	after, deed := s, DeedHold
	after.Held = held
	effects := outbox.Effects{Guard: holding{s.ID, held}}
	if !held {
		deed = DeedRelease
		effects.Rows = []outbox.Row{wakeRow(waiting(s))}
	}
	return after, d.commitSpend(ctx, effects, d.act(who, reason, deed, s.ID, s.AppUserID, spendSide(s), spendSide(after)), s)
}

// toldOfSpend checks who acts and why, and reads the spend.
func (d *Desk) toldOfSpend(ctx context.Context, who Who, reason, spendID string) (economy.Spend, error) {
	if err := told(who, reason); err != nil {
		return economy.Spend{}, err
	}
	return d.spend(ctx, spendID)
}

func (d *Desk) spend(ctx context.Context, spendID string) (economy.Spend, error) {
	s, err := d.Spends.Spend(ctx, spendID)
	if err != nil {
		return economy.Spend{}, fmt.Errorf("spend %s: %w", spendID, err)
	}
	return s, nil
}

// commitSpend commits what is done to a spend with its line in the audit. What was not
// so any more is a bare *RefusedError.
func (d *Desk) commitSpend(ctx context.Context, effects outbox.Effects, act actRow, s economy.Spend) error {
	effects.Rows = append(effects.Rows, act)
	effects.Owner = s.AppUserID
	effects.Touches = spendTouches(s)
	switch result, err := d.Committer.Commit(ctx, effects); {
	case err != nil:
		return fmt.Errorf("%s of %s: %w", act.Deed, s, err)
	case result != outbox.Applied:
		return &RefusedError{Why: fmt.Sprintf("%s has moved on meanwhile: look again", s)}
	}
	return nil
}
