package revenuecat

import (
	"context"
	"net/url"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Subscription is a subscription as the provider keeps it: all its periods, paid one
// by one. What it did not send is zero.
type Subscription struct {
	ID                    string // the provider's
	CustomerID            string // whose it is now
	OriginalCustomerID    string // whose it was first; another one after a transfer
	ProductID             string // the provider's own; none of a promotional one
	StartsAt              time.Time
	CurrentPeriodStartsAt time.Time
	CurrentPeriodEndsAt   time.Time
	EndsAt                time.Time // of the latest period; later than CurrentPeriodEndsAt: it is charged already
	GivesAccess           bool      // what the provider makes of it
	Status                string    // SubscriptionTrialing, ...; the set may grow
	Environment           economy.Environment
	Store                 economy.Store
	StoreID               string // the latest period's transaction at the store
	Ownership             economy.Ownership
}

// SubscriptionTrialing is the status of a subscription whose current period is a
// free trial.
const SubscriptionTrialing = "trialing"

// Transaction is one paid period of a subscription. What the provider did not send
// is zero.
type Transaction struct {
	ID               string // the store's
	PurchasedAt      time.Time
	Product          string // the store's
	ExpiresAt        time.Time
	EffectiveExpires time.Time // grace included; earlier than ExpiresAt: the store ended it then
	Unpaid           bool      // the provider says that its price was 0
}

// Subscriptions reads a customer's subscriptions of both environments.
// Source: RevenueCat API v2, Get a list of subscriptions associated with a customer.
func (r *Reader) Subscriptions(ctx context.Context, appUserID string) ([]Subscription, error) {
	list, err := readCustomerList(ctx, r, OpSubscriptions, appUserID, "/subscriptions", subscriptionWire.id)
	return subscriptionsOf(list), err
}

// FindSubscriptions reads the subscriptions that a store's transaction is a period
// of, past or current, whoever's they are: one, or none that the provider knows.
// player is on whose behalf it asks.
// Source: RevenueCat API v2, Search subscriptions by store subscription identifier.
func (r *Reader) FindSubscriptions(ctx context.Context, player, storeID string) ([]Subscription, error) {
	query := url.Values{"store_subscription_identifier": {storeID}}
	list, err := readList(ctx, r, OpFindSubscriptions, player, "/subscriptions", query, subscriptionWire.id)
	return subscriptionsOf(list), err
}

// Transactions reads every period of a subscription, in the provider's order. It is
// documented for the App Store and the Play Store; for others expect a refusal.
// player is on whose behalf it asks.
// Source: RevenueCat API v2, Get a Play Store or App Store subscription's transactions.
func (r *Reader) Transactions(ctx context.Context, player, subscriptionID string) ([]Transaction, error) {
	if !validCustomer(subscriptionID) {
		return nil, errNoAddress(OpTransactions)
	}
	path := "/subscriptions/" + escapeSegment(subscriptionID) + "/transactions"
	list, err := readList(ctx, r, OpTransactions, player, path, nil, transactionWire.id)
	out := make([]Transaction, len(list))
	for i, t := range list {
		out[i] = Transaction{
			ID: string(t.ID), PurchasedAt: t.PurchasedAt.time(), Product: string(t.Product),
			ExpiresAt: t.ExpiresAt.time(), EffectiveExpires: t.EffectiveExpires.time(), Unpaid: t.Revenue.Gross != nil && *t.Revenue.Gross == 0,
		}
	}
	return out, err
}

type subscriptionWire struct {
	ID                    label  `json:"id"`
	CustomerID            label  `json:"customer_id"`
	OriginalCustomerID    label  `json:"original_customer_id"`
	ProductID             label  `json:"product_id"`
	StartsAt              moment `json:"starts_at"`
	CurrentPeriodStartsAt moment `json:"current_period_starts_at"`
	CurrentPeriodEndsAt   moment `json:"current_period_ends_at"`
	EndsAt                moment `json:"ends_at"`
	GivesAccess           bool   `json:"gives_access"`
	Status                string `json:"status"`
	Environment           string `json:"environment"`
	Store                 string `json:"store"`
	StoreID               label  `json:"store_subscription_identifier"`
	Ownership             string `json:"ownership"`
}

func (s subscriptionWire) id() string { return string(s.ID) }

func subscriptionsOf(list []subscriptionWire) []Subscription {
	out := make([]Subscription, len(list))
	for i, s := range list {
		out[i] = Subscription{
			ID: string(s.ID), CustomerID: string(s.CustomerID), OriginalCustomerID: string(s.OriginalCustomerID), ProductID: string(s.ProductID),
			StartsAt: s.StartsAt.time(), CurrentPeriodStartsAt: s.CurrentPeriodStartsAt.time(), CurrentPeriodEndsAt: s.CurrentPeriodEndsAt.time(), EndsAt: s.EndsAt.time(),
			GivesAccess: s.GivesAccess, Status: s.Status, Environment: environment(s.Environment), Store: economy.NormalStore(s.Store),
			StoreID: string(s.StoreID), Ownership: economy.Ownership(s.Ownership),
		}
	}
	return out
}

// transactionWire is a period. Its revenue is in newer specifications only.
type transactionWire struct {
	ID               label  `json:"id"`
	PurchasedAt      moment `json:"purchased_at"`
	Product          label  `json:"product_store_identifier"`
	ExpiresAt        moment `json:"expiration_date"`
	EffectiveExpires moment `json:"effective_expiration_date"`
	Revenue          struct {
		Gross *float64 `json:"gross"`
	} `json:"revenue_in_usd"`
}

func (t transactionWire) id() string { return string(t.ID) }
