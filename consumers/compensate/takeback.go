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
	Revoke(ctx context.Context, endpoint string, s economy.Spend) handover.Outcome
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
	said := c.Endpoints.Revoke(ctx, endpoint, spend)
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
	result, err := c.Committer.Commit(ctx, outbox.Effects{
		Guard: books.SettleHandOver{Change: economy.TakenBack(spend, now)}, Owner: spend.AppUserID,
	})
	switch {
	case err != nil:
		return outbox.Effects{}, fmt.Errorf("%s: %w", spend, err)
	case result != outbox.Applied:
		return outbox.Effects{}, fmt.Errorf("%s: %w", spend, errMoved)
	}
	return outbox.Effects{}, nil
}
