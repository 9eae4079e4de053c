package access

import (
	"context"
	"errors"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/outbox"
)

// received writes down what a webhook says: the statement about its purchase, the
// ids it links, the transfer it tells, and whom to fold or to read again for it.
func (c Consumer) received(ctx context.Context, event events.Event) (outbox.Effects, error) {
	told, facts, err := c.facts(ctx, event)
	if err != nil {
		return outbox.Effects{}, err
	}
	key := economy.PurchaseKey{}
	if facts.Purchase != nil {
		key = facts.Purchase.Key
	}
	known, unlinked, err := c.Store.Heard(ctx, key, facts.Aliases)
	if err != nil {
		return outbox.Effects{}, err
	}
	now := c.Now()
	effects := outbox.Effects{}
	if facts.Purchase != nil {
		if effects, err = purchases.Merge(known, *facts.Purchase, event.Lane, now); err != nil {
			return outbox.Effects{}, consumers.Permanent(err)
		}
	}
	if effects.Guard == nil { // nothing new of a purchase: the delivery is what ends
		effects.Guard = outbox.Finish{EventID: event.ID, Consumer: Spec.Name}
	}
	for _, group := range unlinked {
		effects.Rows = append(effects.Rows, purchases.Aliases(group, told.ID, now)...)
		effects.Events = append(effects.Events, events.NewStoreCustomerChanged(event.Lane, events.CustomerAliased, told.ID, group[0], now))
	}
	reason := events.ResyncTemporary
	if transfer := facts.Transfer; transfer != nil {
		reason = events.ResyncTransfer
		effects.Rows = append(effects.Rows, purchases.Transfer(*transfer)...)
		for _, id := range []string{transfer.From[0], transfer.To[0]} {
			effects.Events = append(effects.Events, events.NewStoreCustomerChanged(event.Lane, events.CustomerTransferred, told.ID, id, now))
		}
	}
	for _, id := range facts.Resync {
		effects.Events = append(effects.Events, events.NewCustomerResyncRequested(event.Lane, reason, told.ID, id, now))
	}
	return effects, nil
}

// facts reads the webhook that an event is about. One that is gone, or that says
// too little, is set aside for an operator.
func (c Consumer) facts(ctx context.Context, event events.Event) (webhooks.Event, webhooks.Facts, error) {
	data, err := events.DataOf[events.StoreWebhookReceived](event)
	if err != nil {
		return webhooks.Event{}, webhooks.Facts{}, err
	}
	raw, err := c.Store.Webhook(ctx, data.WebhookID)
	if errors.Is(err, purchases.ErrNotFound) {
		err = consumers.Permanent(errors.New("the webhook's body is gone: ask for a resync of the customer"))
	}
	if err != nil {
		return webhooks.Event{}, webhooks.Facts{}, err
	}
	told, err := webhooks.Parse(raw)
	if err != nil {
		return told, webhooks.Facts{}, consumers.Permanent(err)
	}
	facts, err := told.Facts()
	if err != nil {
		return told, facts, consumers.Permanent(err)
	}
	return told, facts, nil
}
