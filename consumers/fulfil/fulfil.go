// Package fulfil hands over the item of a charged spend.
//
//	spend.charged.v1 → fulfilled | spend.refunding.v1
//
// An item that goes into our own inventory is granted in the commit that
// fulfils the spend, so it is handed over exactly once. A permanent refusal
// first commits refunding; only then does compensate give the cost back.
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
	Spends   consumers.Spends
	Catalogs Catalogs
	Now      func() time.Time
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
	return c.handOver(spend, catalog.Items[spend.Item].HandOver)
}

func (c Consumer) handOver(spend economy.Spend, how economy.HandOver) (outbox.Effects, error) {
	now := c.Now()
	var change economy.Change
	var facts []events.Event
	switch how.Port {
	case economy.HandOverInventory:
		grant := economy.Grant{SpendID: spend.ID, AppUserID: spend.AppUserID, Item: spend.Item, Quantity: spend.Quantity}
		change = economy.HandedOver(spend, &grant, now)
	case economy.HandOverRefuse:
		change = economy.HandOverRefusedFor(spend)
		facts = []events.Event{events.NewSpendRefunding(spend.ID, spend.AppUserID, now)}
	default:
		return outbox.Effects{}, consumers.Permanent(fmt.Errorf("%s: item %q of catalogue version %d has no hand-over port we know: %q",
			spend, spend.Item, spend.CatalogVersion, how.Port))
	}
	effects := outbox.Effects{Guard: books.Move{Change: change}, Rows: books.With(change, now), Events: facts, Owner: spend.AppUserID}
	if change.Spend.State.Final() {
		effects.Notices = []events.Notice{{Spend: change.Spend}}
	}
	return effects, nil
}
