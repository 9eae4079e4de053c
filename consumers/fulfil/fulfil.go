// Package fulfil hands over the item of a charged spend.
//
//	spend.charged.v1 → fulfilled | spend.refunding.v1
//
// An item that goes into our own inventory is granted in the commit that
// fulfils the spend, so it is handed over exactly once. One that the game's own
// server hands over is asked for under the spend's id until the answer is certain.
// A permanent refusal, or patience run out, first commits refunding; only then does
// compensate give the cost back.
package fulfil

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// Catalogs reads a stored version of the catalogue; books.Catalogs does.
type Catalogs interface {
	Catalog(ctx context.Context, version int64) (economy.Catalog, error)
}

// Consumer is the consumer fulfil.
type Consumer struct {
	Spends    consumers.Spends
	Catalogs  Catalogs
	Endpoints Endpoints     // of the game's own servers
	Patience  time.Duration // how long after the charge an endpoint may fail, where an item does not say
	Now       func() time.Time
}

// Spec is what fulfil is to the rest of the system.
var Spec = consumers.Spec{
	Name:  "fulfil",
	Types: []events.Type{events.SpendChargedV1},
	Lanes: []events.Lane{events.Live},
}

// Spec implements consumers.Consumer.
func (Consumer) Spec() consumers.Spec { return Spec }

// Consume hands the spend's item over as the version of the catalogue that
// priced it says. A spend that is not charged any more needs nothing.
func (c Consumer) Consume(ctx context.Context, event events.Event) (outbox.Effects, error) {
	spend, err := consumers.LoadSpend(ctx, c.Spends, event)
	if err != nil {
		return outbox.Effects{}, err
	}
	if spend.State != economy.Charged {
		return outbox.Effects{Guard: outbox.Finish{EventID: event.ID, Consumer: Spec.Name}}, nil
	}
	catalog, err := c.Catalogs.Catalog(ctx, spend.CatalogVersion)
	if err != nil {
		return outbox.Effects{}, fmt.Errorf("%s: %w", spend, err)
	}
	return c.handOver(ctx, spend, catalog.Items[spend.Item].HandOver)
}

func (c Consumer) handOver(ctx context.Context, spend economy.Spend, how economy.HandOver) (outbox.Effects, error) {
	switch how.Port {
	case economy.HandOverInventory:
		grant := economy.Grant{SpendID: spend.ID, AppUserID: spend.AppUserID, Item: spend.Item, Quantity: spend.Quantity}
		return c.handedOver(spend, &grant), nil
	case economy.HandOverHTTP:
		return c.ask(ctx, spend, how)
	case economy.HandOverRefuse:
		change := economy.HandOverRefusedFor(spend)
		return c.effects(change, books.Move{Change: change}), nil
	}
	return outbox.Effects{}, consumers.Permanent(fmt.Errorf("%s: item %q of catalogue version %d has no hand-over port we know: %q",
		spend, spend.Item, spend.CatalogVersion, how.Port))
}

// handedOver returns what follows when the item is the player's; grant is nil when
// it lies outside our own inventory.
func (c Consumer) handedOver(spend economy.Spend, grant *economy.Grant) outbox.Effects {
	change := economy.HandedOver(spend, grant, c.Now())
	return c.effects(change, books.Move{Change: change})
}

// effects returns a step with all that goes with it, under its guard.
func (c Consumer) effects(change economy.Change, guard outbox.GuardRow) outbox.Effects {
	now := c.Now()
	effects := outbox.Effects{Guard: guard, Rows: books.With(change, now), Owner: change.Spend.AppUserID}
	if change.Spend.State == economy.Refunding {
		effects.Events = []events.Event{events.NewSpendRefunding(change.Spend.ID, change.Spend.AppUserID, now)}
	}
	if change.Spend.State.Final() {
		effects.Notices = []events.Notice{{Spend: change.Spend}}
	}
	return effects
}
