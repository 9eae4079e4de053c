package compensate

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// Endpoints take items back at the game's own servers; handover.Endpoints does.
type Endpoints interface {
	// Revoke calls before when it is about to send the request, and sends none when that
	// says no.
	Revoke(ctx context.Context, endpoint string, s economy.Spend, before func() bool) handover.Outcome
}

// errMoved says that somebody else settled the hand-over meanwhile.
var errMoved = errors.New("its hand-over was settled meanwhile")

// takeBack has an endpoint revoke the item. It returns no effects once it is on
// record that the player does not have it and never will, so that the cost may be
// credited; and those that end the spend when the player keeps it.
//
// It asks nothing but the revoke, since only that decides: what a check says can be
// untrue a moment later, by a grant that was long under way.
func (c Consumer) takeBack(ctx context.Context, spend economy.Spend, endpoint string) (outbox.Effects, error) {
	var before func() bool
	var notAsked error
	if spend.Reason == economy.OperatorRefund { // which may be given up until the server is asked
		before = func() bool {
			notAsked = c.settle(ctx, spend, books.AskRevoke{SpendID: spend.ID, At: c.Now()})
			return notAsked == nil
		}
	}
	said := c.Endpoints.Revoke(ctx, endpoint, spend, before)
	if notAsked != nil {
		return outbox.Effects{}, notAsked
	}
	now := c.Now()
	switch said.Kind {
	case handover.Granted:
		change := economy.Kept(spend, now)
		note := "the game had granted the item and does not take it back: " + cmp.Or(said.Reason, "it gave no reason")
		effects := outbox.Effects{Guard: books.SettleHandOver{Change: change, Note: note}, Rows: books.With(change, now), Owner: spend.AppUserID}
		if change.Spend.State.Final() {
			effects.Notices = []events.Notice{{Spend: change.Spend}}
		}
		return effects, nil
	case handover.Revoked:
	case handover.Refused, handover.None, handover.Failed, handover.Later:
		return outbox.Effects{}, said.Err(endpoint)
	}
	err := c.settle(ctx, spend, books.SettleHandOver{Change: economy.TakenBack(spend, now)})
	if errors.Is(err, errMoved) {
		return c.takenAfterAll(ctx, spend, err)
	}
	return outbox.Effects{}, err
}

// takenAfterAll looks who was faster than the game's word that the item is gone. If the
// spend was settled as granted meanwhile, its player paid and has nothing: the effects
// have somebody see to it. Otherwise it goes on as moved says.
func (c Consumer) takenAfterAll(ctx context.Context, spend economy.Spend, moved error) (outbox.Effects, error) {
	spend, err := c.Spends.Spend(ctx, spend.ID)
	if err != nil {
		return outbox.Effects{}, errors.Join(moved, err)
	}
	change := economy.GoneAfterAll(spend)
	if change.Empty() {
		return outbox.Effects{}, moved
	}
	return outbox.Effects{Guard: books.SettleHandOver{Change: change}, Owner: spend.AppUserID}, nil
}

// settle writes down what is to be on record before the next step.
func (c Consumer) settle(ctx context.Context, spend economy.Spend, guard outbox.GuardRow) error {
	switch result, err := c.Committer.Commit(ctx, outbox.Effects{Guard: guard, Owner: spend.AppUserID}); {
	case err != nil:
		return fmt.Errorf("%s: %w", spend, err)
	case result != outbox.Applied:
		return fmt.Errorf("%s: %w", spend, errMoved)
	}
	return nil
}
