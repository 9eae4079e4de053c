package revenuecat

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Purchase is a one-time purchase as the provider keeps it. What it did not send is
// zero.
type Purchase struct {
	ID                 string // the provider's
	CustomerID         string // whose it is now
	OriginalCustomerID string // whose it was first; another one after a transfer
	ProductID          string // the provider's own: Products.StoreIdentifier has the store's
	PurchasedAt        time.Time
	Quantity           int64
	Status             string // PurchaseOwned, PurchaseRefunded; the set may grow
	Environment        economy.Environment
	Store              economy.Store
	StoreID            string // the store's transaction, as webhooks name it
	Ownership          economy.Ownership
}

// The statuses of a purchase. When a refund was, is not told.
const (
	PurchaseOwned    = "owned"
	PurchaseRefunded = "refunded"
)

// Purchases reads a customer's one-time purchases of both environments.
// Source: RevenueCat API v2, Get a list of purchases associated with a customer.
func (r *Reader) Purchases(ctx context.Context, appUserID string) ([]Purchase, error) {
	list, err := readCustomerList(ctx, r, OpPurchases, appUserID, "/purchases", purchaseWire.id)
	return purchasesOf(list), err
}

// FindPurchases reads the one-time purchases of a store's transaction, whoever's
// they are: one, or none that the provider knows. player is on whose behalf it asks.
// Source: RevenueCat API v2, Search one-time purchases by store purchase identifier.
func (r *Reader) FindPurchases(ctx context.Context, player, storeID string) ([]Purchase, error) {
	list, err := readList(ctx, r, OpFindPurchases, player, "/purchases", url.Values{"store_purchase_identifier": {storeID}}, purchaseWire.id)
	return purchasesOf(list), err
}

type purchaseWire struct {
	ID                 label   `json:"id"`
	CustomerID         label   `json:"customer_id"`
	OriginalCustomerID label   `json:"original_customer_id"`
	ProductID          label   `json:"product_id"`
	PurchasedAt        moment  `json:"purchased_at"`
	Quantity           float64 `json:"quantity"`
	Status             string  `json:"status"`
	Environment        string  `json:"environment"`
	Store              string  `json:"store"`
	StoreID            label   `json:"store_purchase_identifier"`
	Ownership          string  `json:"ownership"`
}

func (p purchaseWire) id() string { return string(p.ID) }

func purchasesOf(list []purchaseWire) []Purchase {
	out := make([]Purchase, len(list))
	for i, p := range list {
		out[i] = Purchase{
			ID: string(p.ID), CustomerID: string(p.CustomerID), OriginalCustomerID: string(p.OriginalCustomerID), ProductID: string(p.ProductID),
			PurchasedAt: p.PurchasedAt.time(), Quantity: int64(p.Quantity), Status: p.Status, Environment: environment(p.Environment),
			Store: economy.NormalStore(p.Store), StoreID: string(p.StoreID), Ownership: economy.Ownership(p.Ownership),
		}
	}
	return out
}

func environment(name string) economy.Environment {
	return economy.Environment(strings.ToLower(name))
}
