// Package access turns what the stores tell of purchases into what customers may
// use and have.
//
//	store.webhook.received.v1 → what is known of the purchase, aliases, transfers
//	                          → store.purchase.changed.v1, store.customer.changed.v1, customer.resync.requested.v1
//	store.purchase.changed.v1, .v2, store.customer.changed.v1 → accesses, items, settled claims
//
// What is known of a purchase is a join of statements, and what a customer has is a
// fold over all purchases: any order of events, and any repetition, ends the same.
package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// Store reads what is known of purchases; purchases.Store does.
type Store interface {
	Webhook(ctx context.Context, webhookID string) ([]byte, error)
	Told(ctx context.Context, key economy.PurchaseKey, groups [][]string, ids ...string) (purchases.Told, error)
	History(ctx context.Context, appUserID string) (purchases.History, error)
}

// Catalogs reads a stored version of the catalogue; books.Catalogs does.
type Catalogs interface {
	Catalog(ctx context.Context, version int64) (economy.Catalog, error)
}

// Consumer is the consumer access.
type Consumer struct {
	Store    Store
	Catalogs Catalogs
	Testers  []string // App User IDs whose purchases in the sandbox count
	Now      func() time.Time
	Unknown  *Unknown // tells of products that no catalogue has
}

// concurrency is how many deliveries of a lane a process works on. What they read is
// gathered, and what they want is committed together: so many share one statement of
// each, and no more than a few statements are under way, whatever the burst.
const concurrency = 32

// Spec is what access is to the rest of the system. It reads every lane its events
// travel on, so that a backfill delays no purchase of today.
var Spec = consumers.Spec{
	Name:        "access",
	Types:       []events.Type{events.StoreWebhookReceivedV1, events.StorePurchaseChangedV1, events.StorePurchaseChangedV2, events.StoreCustomerChangedV1},
	Lanes:       []events.Lane{events.Store, events.Bulk},
	Concurrency: concurrency,
}

// Spec implements consumers.Consumer.
func (Consumer) Spec() consumers.Spec { return Spec }

// Consume takes one step of the road from a webhook to an access.
func (c Consumer) Consume(ctx context.Context, event events.Event) (outbox.Effects, error) {
	if event.Type == events.StoreWebhookReceivedV1 {
		return c.received(ctx, event)
	}
	if event.Type == events.StorePurchaseChangedV1 {
		data, err := events.DataOf[events.StorePurchaseChanged](event)
		if err != nil {
			return outbox.Effects{}, err
		}
		return c.fold(ctx, event, change{keys: []economy.PurchaseKey{data.Key()}, others: true})
	}
	if event.Type == events.StorePurchaseChangedV2 {
		data, err := events.DataOf[events.StorePurchasesChanged](event)
		if err != nil {
			return outbox.Effects{}, err
		}
		if len(data.Transactions) == 0 {
			return outbox.Effects{}, consumers.Permanent(fmt.Errorf("event %s names no purchase", event.ID))
		}
		return c.fold(ctx, event, change{keys: data.Keys(), linked: data.Linked, others: true})
	}
	if event.Type == events.StoreCustomerChangedV1 {
		data, err := events.DataOf[events.StoreCustomerChanged](event)
		if err != nil {
			return outbox.Effects{}, err
		}
		// Ownership is told by a fold of somebody else, who told everybody: passing it on would never end.
		return c.fold(ctx, event, change{others: data.Reason != events.CustomerOwnership})
	}
	return outbox.Effects{}, consumers.Permanent(fmt.Errorf("event %s: access knows no type %s", event.ID, event.Type))
}

// change is what an event says about a customer's history.
type change struct {
	keys   []economy.PurchaseKey // the purchases that changed; none: links or transfers did, or nobody told which
	linked bool                  // links changed beside them, which concern all purchases
	others bool                  // whoever else has part in them is to be folded, too
}

// fold writes down what the purchases of the event's customer come to.
func (c Consumer) fold(ctx context.Context, event events.Event, what change) (outbox.Effects, error) {
	h, err := c.Store.History(ctx, event.AppUserID)
	if err != nil {
		return outbox.Effects{}, err
	}
	bought, holdings, err := c.come(ctx, h, what.keys...)
	if err != nil {
		return outbox.Effects{}, err
	}
	now := c.Now()
	effects := h.Effects(bought, holdings, now)
	concerned := what.keys
	if what.linked {
		concerned = nil
	}
	if what.others {
		effects.Events = purchases.FoldAgain(event.Lane, event.ID, h.Others(concerned...), now)
	}
	return effects, nil
}

// come returns what the purchases of a history come to. Those that changed are named:
// of them it is told when nobody knows the product.
func (c Consumer) come(ctx context.Context, h purchases.History, changed ...economy.PurchaseKey) ([]economy.Bought, economy.Holdings, error) {
	packages, err := c.packages(ctx, h)
	if err != nil {
		return nil, economy.Holdings{}, err
	}
	bought := h.Bought(packages.of, slices.ContainsFunc(c.Testers, h.Customer.Has))
	for _, p := range h.Purchases {
		if slices.Contains(changed, p.Key) && p.Confirmed() && !packages.know(p) {
			c.Unknown.bought(ctx, p.Purchase)
		}
	}
	return bought, economy.Fold(h.Customer, bought), nil
}
