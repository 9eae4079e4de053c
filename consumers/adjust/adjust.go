// Package adjust charges requested spends at the provider.
//
//	spend.requested.v1 → spend.charged.v1 | declined
//
// A message only says that a player has spends waiting. Whichever message comes
// first has the player's spends charged in the order they were accepted, and
// ends the deliveries of all of them; internal/adjustments has the rules.
package adjust

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/outbox"
)

// Teller charges a player's waiting spends; adjustments.Teller does.
type Teller interface {
	Charge(ctx context.Context, appUserID string) (settled []string, err error)
	Settled(spendID string) bool
	PassedOver(appUserID string)
	Resolve(ctx context.Context, spend economy.Spend) error
}

// heldWait is when to look again at a spend that an operator holds.
const heldWait = 15 * time.Second

// Consumer is the consumer adjust.
type Consumer struct {
	Teller Teller
	Spends consumers.Spends
}

// Spec implements consumers.Consumer.
func (Consumer) Spec() consumers.Spec { return Spec }

// Spec is what adjust is to the rest of the system.
var Spec = consumers.Spec{
	Name:  adjustments.ChargeConsumer,
	Types: []events.Type{events.SpendRequestedV1},
	Lanes: []events.Lane{events.Live},
	// A charge is a read, two commits and a call, 30 ms on a busy machine: 64 at once
	// are about 2,000 a second. Many more would take from each other: what waits is
	// charged together.
	Concurrency: 80,
}

// Consume charges what waits for the event's player. The commits that settle the
// spends end their deliveries too, so there is nothing left to commit, except
// for a delivery that comes after its spend was settled.
func (c Consumer) Consume(ctx context.Context, event events.Event) (outbox.Effects, error) {
	id, err := event.SpendID()
	if err != nil {
		return outbox.Effects{}, err
	}
	if c.Teller.Settled(id) { // together with another, whose delivery brought a worker first
		return outbox.Effects{}, nil
	}
	settled, err := c.Teller.Charge(ctx, event.AppUserID)
	switch {
	case errors.Is(err, adjustments.ErrInHand):
		// The worker that has the player will see this spend: it was committed before
		// the message was sent. If that worker dies, the outbox still owes this one.
		return outbox.Effects{}, nil
	case err != nil:
		// Also when this spend is settled and a later one is not: the later one's
		// delivery may have gone away because this worker had the player in hand.
		return outbox.Effects{}, err
	case slices.Contains(settled, id):
		return outbox.Effects{}, nil
	}
	spend, err := consumers.LoadSpend(ctx, c.Spends, event)
	switch {
	case err != nil:
		return outbox.Effects{}, err
	case spend.State == economy.Requested && !spend.UnknownSince.IsZero():
		// Its adjustment stepped aside: ask again under its own key. What that settles
		// ends this delivery too; what it sets free again is still owed, and comes back.
		return outbox.Effects{}, c.Teller.Resolve(ctx, spend)
	case spend.State == economy.Requested && !spend.Held:
		c.Teller.PassedOver(event.AppUserID)
		return outbox.Effects{}, &adjustments.Retry{SentAway: true, Err: fmt.Errorf("%s was passed over", spend)}
	case spend.State == economy.Requested: // nothing charged it, so an operator holds it
		return outbox.Effects{}, &adjustments.Retry{After: heldWait, Err: fmt.Errorf("%s is held", spend)}
	}
	return outbox.Effects{Guard: outbox.Finish{EventID: event.ID, Consumer: Spec.Name}}, nil
}
