package fulfil

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// Endpoints hand over items at the game's own servers; handover.Endpoints does.
type Endpoints interface {
	Grant(ctx context.Context, endpoint string, s economy.Spend) handover.Outcome
	Check(ctx context.Context, endpoint string, s economy.Spend) handover.Outcome
}

// lastWaitMin is the least wait before patience runs out: what is left of it may be
// less than a look at the outbox takes.
const lastWaitMin = 100 * time.Millisecond

// ask has an endpoint grant the item. Until it gives a certain answer the spend stays
// charged and the delivery comes again. When patience runs out, a last check finds
// what may have been granted while its answer was lost.
func (c Consumer) ask(ctx context.Context, spend economy.Spend, how economy.HandOver) (outbox.Effects, error) {
	said := c.Endpoints.Grant(ctx, how.Endpoint, spend)
	switch said.Kind {
	case handover.Granted:
		return c.handedOver(spend, nil), nil
	case handover.Refused:
		return c.refused(spend, "the game refused the item: "+cmp.Or(said.Reason, "it gave no reason")), nil
	case handover.Revoked:
		return c.refused(spend, "the game has this spend as revoked"), nil
	case handover.None, handover.Failed, handover.Later:
	}
	patience := cmp.Or(how.Patience, c.Patience)
	left := patience - c.Now().Sub(spend.ChargedAt)
	if left > 0 || said.Kind == handover.Later { // who was not asked has not failed
		if left > 0 && said.After > left {
			said.After = max(left, lastWaitMin)
		}
		return outbox.Effects{}, said.Err(how.Endpoint)
	}
	if check := c.Endpoints.Check(ctx, how.Endpoint, spend); check.Kind == handover.Granted {
		return c.handedOver(spend, nil), nil
	}
	return c.refused(spend, fmt.Sprintf("endpoint %s did not hand the item over within %s: %s", how.Endpoint, patience, said.Detail)), nil
}

// refused returns what follows when the item is not to be handed over any more. The
// note tells operators why.
func (c Consumer) refused(spend economy.Spend, note string) outbox.Effects {
	change := economy.HandOverRefusedFor(spend)
	return c.effects(change, books.SettleHandOver{Change: change, Note: note})
}
