// Package compensate gives the cost of a spend back whose item was refused.
//
//	spend.refunding.v1 → refunded | fulfilled
//
// An item of the game's own server is revoked there first: the cost is credited only
// once the player certainly does not have it and never will. A game that had granted
// it and does not take it back ends the spend as fulfilled.
//
// The credit has a key of its own, stored before the first call: however often
// it is retried, the player is refunded once. A refund that the provider refuses
// for good stays visible and needs an operator.
package compensate

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/outbox"
)

// Teller credits a refunding spend; adjustments.Teller does.
type Teller interface {
	Refund(ctx context.Context, spend economy.Spend) error
}

// Catalogs reads a stored version of the catalogue; books.Catalogs does.
type Catalogs interface {
	Catalog(ctx context.Context, version int64) (economy.Catalog, error)
}

// heldWait is when to look again at a spend that an operator holds.
const heldWait = 15 * time.Second

// Consumer is the consumer compensate.
type Consumer struct {
	Teller    Teller
	Spends    consumers.Spends
	Catalogs  Catalogs
	Endpoints Endpoints           // of the game's own servers
	Committer consumers.Committer // keeps that an item was taken back, before the credit
	Now       func() time.Time
}

// Spec is what compensate is to the rest of the system.
var Spec = consumers.Spec{
	Name:  adjustments.RefundConsumer,
	Types: []events.Type{events.SpendRefundingV1},
	Lanes: []events.Lane{events.Live},
}

// Spec implements consumers.Consumer.
func (Consumer) Spec() consumers.Spec { return Spec }

// Consume refunds the spend. Items of our own inventory need no revoke first: they
// are granted only by the commit that fulfils, and this spend left charged for
// refunding instead, or an operator took the item in the commit that left fulfilled.
func (c Consumer) Consume(ctx context.Context, event events.Event) (outbox.Effects, error) {
	spend, err := consumers.LoadSpend(ctx, c.Spends, event)
	if err == nil && spend.State == economy.Charged {
		// It was refunding before the event was made, so this is what was remembered of it
		// (books.Recent), and must not end the delivery. What is remembered is told once.
		spend, err = consumers.LoadSpend(ctx, c.Spends, event)
	}
	if err != nil {
		return outbox.Effects{}, err
	}
	if spend.State != economy.Refunding || spend.NeedsOperator != "" {
		return outbox.Effects{Guard: outbox.Finish{EventID: event.ID, Consumer: Spec.Name}}, nil
	}
	if spend.Held {
		return outbox.Effects{}, &adjustments.Retry{After: heldWait, Err: fmt.Errorf("%s is held", spend), SentAway: true}
	}
	catalog, err := c.Catalogs.Catalog(ctx, spend.CatalogVersion)
	if err != nil {
		return outbox.Effects{}, fmt.Errorf("%s: %w", spend, err)
	}
	how := catalog.Items[spend.Item].HandOver
	if how.Port == economy.HandOverHTTP && spend.RevokedAt.IsZero() {
		kept, err := c.takeBack(ctx, spend, how.Endpoint)
		if err != nil || kept.Guard != nil {
			return kept, err
		}
	}
	return outbox.Effects{}, c.Teller.Refund(ctx, spend)
}
