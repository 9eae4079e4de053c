package resync

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// found is what a reading brought.
type found struct {
	startedAt time.Time
	known     bool     // the provider knows the customer
	ids       []string // of the customer, the one that was asked for included
	facts     []economy.PurchaseFact
	untold    int                // periods whose transaction the API does not tell
	balances  revenuecat.Reading // of the customer
}

// read reads a customer whole, or nothing of it: aliases, balances, one-time
// purchases, subscriptions with their periods.
func (c *Consumer) read(ctx context.Context, event events.Event) (found, error) {
	f := found{startedAt: c.Now(), ids: []string{event.AppUserID}}
	player := event.AppUserID
	ids, err := c.Reader.Aliases(ctx, player)
	if revenuecat.IsMissing(err) {
		return f, nil
	}
	if err != nil {
		return f, failed(err)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return strings.ContainsRune(id, 0) })
	f.known, f.ids = true, append(f.ids, ids...)
	slices.Sort(f.ids)
	f.ids = slices.Compact(f.ids)
	if f.balances, err = c.Balances.Balances(ctx, player); err != nil { // early: it waits less for the budget than the others
		return f, failed(err)
	}
	sales, err := c.Reader.Purchases(ctx, player)
	if err != nil {
		return f, failed(err)
	}
	subscriptions, err := c.Reader.Subscriptions(ctx, player)
	if err != nil {
		return f, failed(err)
	}
	err = c.tell(ctx, player, sales, subscriptions, &f)
	return f, err
}

// tell adds the facts of what was bought, with what only further calls tell.
func (c *Consumer) tell(ctx context.Context, player string, sales []revenuecat.Purchase, subscriptions []revenuecat.Subscription, f *found) error {
	say := teller{at: f.startedAt.Add(-economy.ResyncLag)}
	for _, sale := range sales {
		product, err := c.product(ctx, sale.ProductID)
		if err != nil {
			return err
		}
		fact := say.sale(sale, product)
		if err := c.keepEarlierEnd(ctx, &fact); err != nil {
			return err
		}
		f.facts = append(f.facts, fact)
	}
	for _, sub := range subscriptions {
		periods, err := c.periods(ctx, player, sub)
		if err != nil {
			return err
		}
		if len(periods) > 0 {
			f.facts = append(f.facts, say.periods(sub, periods)...)
			continue
		}
		product, err := c.product(ctx, sub.ProductID)
		if err != nil {
			return err
		}
		fact, ok := say.newestPeriod(sub, product)
		if !ok {
			f.untold++
			continue
		}
		if err := c.keepEarlierEnd(ctx, &fact); err != nil {
			return err
		}
		f.facts = append(f.facts, fact)
	}
	return nil
}

// periods reads a subscription's periods; none when the provider does not tell them
// of its store.
func (c *Consumer) periods(ctx context.Context, player string, sub revenuecat.Subscription) ([]revenuecat.Transaction, error) {
	list, err := c.Reader.Transactions(ctx, player, sub.ID)
	if failure, ok := errors.AsType[*revenuecat.Error](err); ok && slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity}, failure.Status) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(err)
	}
	return list, nil
}

// product returns the store's id of a product; empty when the provider has none, or
// does not know it any more: then nothing is said of it.
func (c *Consumer) product(ctx context.Context, productID string) (string, error) {
	if productID == "" {
		return "", nil
	}
	id, err := c.Products.StoreIdentifier(ctx, productID)
	if revenuecat.IsMissing(err) {
		c.Log.WarnContext(ctx, "the provider does not know a product that was bought", "product_id", productID)
		return "", nil
	}
	if err != nil {
		return "", failed(err)
	}
	return id, nil
}

// keepEarlierEnd: the API tells that a purchase was refunded or ended, and not when.
// When we know, that stays.
func (c *Consumer) keepEarlierEnd(ctx context.Context, fact *economy.PurchaseFact) error {
	refunded := fact.Refund != nil && !fact.Refund.At.IsZero()
	ended := fact.EndedAt != nil && !fact.EndedAt.IsZero()
	if !refunded && !ended {
		return nil
	}
	known, err := c.Store.Purchase(ctx, fact.Key)
	if errors.Is(err, purchases.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if refunded && known.Refunded() {
		fact.Refund = &economy.Refund{At: known.Refund.Value.At}
	}
	if at := known.EndedAt.Value; ended && !at.IsZero() && at.Before(*fact.EndedAt) {
		fact.EndedAt = &at
	}
	return nil
}
