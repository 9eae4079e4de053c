// Package mirror keeps what the provider does to balances by itself: currency that
// came with a purchase, went with a refund, or was edited in the dashboard.
//
//	store.currency.moved.v1 → lines of the ledger, and then a fresh reading of the balance
//
// What an event says of a balance is a hint: events come late and in any order. The
// copy is made by a reading, later and only if it is not newer already.
package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/outbox"
)

// Store reads webhooks and customers; purchases.Store does.
type Store interface {
	Webhook(ctx context.Context, webhookID string) ([]byte, error)
	Customer(ctx context.Context, appUserID string) (economy.Customer, error)
}

// Twins finds the adjustment of ours that a movement tells again; adjustments.Store does.
type Twins interface {
	Twin(ctx context.Context, appUserIDs []string, m economy.Movement) (adjustmentID string, err error)
}

// Consumer is the consumer mirror.
type Consumer struct {
	Store     Store
	Twins     Twins
	Freshener *Freshener // nil: nobody reads balances after a movement
	Metrics   *Metrics
	Now       func() time.Time
}

// concurrency is how many deliveries a process works on: see access.
const concurrency = 8

// Spec is what mirror is to the rest of the system. It reads every lane its events
// travel on, so that the replay of an archive delays no movement of today.
var Spec = consumers.Spec{
	Name:        "mirror",
	Types:       []events.Type{events.StoreCurrencyMovedV1},
	Lanes:       []events.Lane{events.Store, events.Bulk},
	Concurrency: concurrency,
}

// Spec implements consumers.Consumer.
func (Consumer) Spec() consumers.Spec { return Spec }

// Consume writes the movement's lines. However often it is told, each is there once.
func (c Consumer) Consume(ctx context.Context, event events.Event) (outbox.Effects, error) {
	m, err := c.movement(ctx, event)
	if err != nil {
		return outbox.Effects{}, err
	}
	if m.Source != economy.PurchaseSource && m.TransactionID == "" { // what a store sold was never ours
		if err := c.recognise(ctx, &m); err != nil {
			return outbox.Effects{}, err
		}
	}
	c.Metrics.moved(m)
	if c.Freshener != nil {
		c.Freshener.Want(m.AppUserID, event.Time)
	}
	return outbox.Effects{
		Guard: outbox.Finish{EventID: event.ID, Consumer: Spec.Name}, Rows: purchases.Movements(m, c.Now()), Owner: m.AppUserID,
	}, nil
}

// movement reads the webhook that an event is about.
func (c Consumer) movement(ctx context.Context, event events.Event) (economy.Movement, error) {
	data, err := events.DataOf[events.StoreCurrencyMoved](event)
	if err != nil {
		return economy.Movement{}, err
	}
	raw, err := c.Store.Webhook(ctx, data.WebhookID)
	if errors.Is(err, purchases.ErrNotFound) {
		err = consumers.Permanent(errors.New("the webhook's body is gone: the movement is known from the provider's export only"))
	}
	if err != nil {
		return economy.Movement{}, err
	}
	told, err := webhooks.Parse(raw)
	if err != nil {
		return economy.Movement{}, consumers.Permanent(err)
	}
	facts, err := told.Facts()
	if err == nil && facts.Movement == nil {
		err = errors.New(string(told.Type) + " moves no balance")
	}
	if err != nil {
		return economy.Movement{}, consumers.Permanent(err)
	}
	return *facts.Movement, nil
}

// recognise marks a movement that tells again of an adjustment of ours.
func (c Consumer) recognise(ctx context.Context, m *economy.Movement) error {
	customer, err := c.Store.Customer(ctx, m.AppUserID)
	if err != nil {
		return err
	}
	m.AdjustmentID, err = c.Twins.Twin(ctx, customer.AppUserIDs, *m)
	return err
}
