package access

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

// received writes down what a webhook says: the statement about its purchase, the
// ids it links, the transfer it tells, and whom to fold or to read again for it. What
// the purchase brings its customer is written in the same commit, where that can be.
func (c Consumer) received(ctx context.Context, event events.Event) (outbox.Effects, error) {
	said, facts, err := c.facts(ctx, event)
	if err != nil {
		return outbox.Effects{}, err
	}
	key, owner := economy.PurchaseKey{}, ""
	if facts.Purchase != nil {
		key, owner = facts.Purchase.Key, facts.Purchase.AppUserID
	}
	told, err := c.Store.Told(ctx, key, facts.Aliases, owner)
	if err != nil {
		return outbox.Effects{}, err
	}
	now := c.Now()
	effects, folded := outbox.Effects{}, economy.Customer{}
	if facts.Purchase != nil {
		if effects, err = purchases.Merge(told.Known, *facts.Purchase, event.Lane, now); err != nil {
			return outbox.Effects{}, consumers.Permanent(err)
		}
		if effects, folded, err = c.take(ctx, event, told, effects, now); err != nil {
			return outbox.Effects{}, err
		}
	}
	if effects.Guard == nil { // nothing new of a purchase: the delivery is what ends
		effects.Guard = outbox.Finish{EventID: event.ID, Consumer: Spec.Name}
	}
	for _, group := range told.Unlinked {
		effects.Rows = append(effects.Rows, purchases.Aliases(group, said.ID, now)...)
		if !folded.Has(group[0]) {
			effects.Events = append(effects.Events, events.NewStoreCustomerChanged(event.Lane, events.CustomerAliased, said.ID, group[0], now))
		}
	}
	reason := events.ResyncTemporary
	if transfer := facts.Transfer; transfer != nil {
		reason = events.ResyncTransfer
		effects.Rows = append(effects.Rows, purchases.Transfer(*transfer)...)
		for _, id := range []string{transfer.From[0], transfer.To[0]} {
			effects.Events = append(effects.Events, events.NewStoreCustomerChanged(event.Lane, events.CustomerTransferred, said.ID, id, now))
		}
	}
	for _, id := range facts.Resync {
		effects.Events = append(effects.Events, events.NewCustomerResyncRequested(event.Lane, reason, said.ID, id, now))
	}
	return effects, nil
}

// take folds the customer of a purchase in the commit that merges what was said of
// it, which spares an event, its delivery and its reads. It returns the effects of the
// merge alone, and the fold is left to the event they send, when there is nothing new,
// nobody to fold, no catalogue yet, or when somebody was faster a moment ago: whoever
// folds a customer in vain must not be in the way of what was said.
func (c Consumer) take(ctx context.Context, event events.Event, told purchases.Told, merge outbox.Effects, now time.Time) (outbox.Effects, economy.Customer, error) {
	merged, isNew := merge.Guard.(purchases.Merged)
	if !isNew || consumers.Again(ctx) {
		return merge, economy.Customer{}, nil
	}
	h, ok, err := told.After(merged)
	if err != nil || !ok || h.CatalogVersion == 0 {
		return merge, economy.Customer{}, err
	}
	bought, holdings, err := c.come(ctx, h, merged.Purchase.Key)
	if err != nil {
		return merge, economy.Customer{}, err
	}
	return h.Take(merge, bought, holdings, event.Lane, now), h.Customer, nil
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
