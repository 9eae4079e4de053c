package simulator

import "time"

// saleBody is the provider's Purchase.
type saleBody struct {
	Object                  string   `json:"object"`
	ID                      string   `json:"id"`
	CustomerID              string   `json:"customer_id"`
	OriginalCustomerID      string   `json:"original_customer_id"`
	ProductID               string   `json:"product_id"`
	PurchasedAt             int64    `json:"purchased_at"`
	RevenueInUSD            monetary `json:"revenue_in_usd"`
	Quantity                int64    `json:"quantity"`
	Status                  string   `json:"status"`
	PresentedOfferingID     *string  `json:"presented_offering_id"`
	Entitlements            list     `json:"entitlements"`
	Environment             string   `json:"environment"`
	Store                   string   `json:"store"`
	StorePurchaseIdentifier string   `json:"store_purchase_identifier"`
	Ownership               string   `json:"ownership"`
	Country                 string   `json:"country"`
}

type monetary struct {
	Currency   string  `json:"currency"`
	Gross      float64 `json:"gross"`
	Commission float64 `json:"commission"`
	Tax        float64 `json:"tax"`
	Proceeds   float64 `json:"proceeds"`
}

func usd(gross float64) monetary { return monetary{Currency: "USD", Gross: gross, Proceeds: gross} }

func (s *Simulator) saleBody(v *sale) any {
	price := s.products[v.Product].Price * float64(v.Quantity)
	body := saleBody{
		Object: "purchase", ID: v.ID, CustomerID: s.books.shelf.first(v.Customer), OriginalCustomerID: s.books.shelf.first(v.Buyer),
		ProductID: v.Product, PurchasedAt: v.PurchasedAt.UnixMilli(), RevenueInUSD: usd(price), Quantity: v.Quantity,
		Status: "owned", Entitlements: newList(nil, "/v2/projects/"+s.project+"/purchases/"+v.ID+"/entitlements", ""),
		Environment: v.Environment, Store: v.Store, StorePurchaseIdentifier: v.StoreID, Ownership: ownership(v.Family), Country: country,
	}
	if v.Refunded {
		body.Status = "refunded"
	}
	return body
}

func ownership(family bool) string {
	if family {
		return "family_shared"
	}
	return "purchased"
}

// country is where everybody buys.
const country = "DE"

// subscriptionBody is the provider's Subscription.
type subscriptionBody struct {
	Object                      string   `json:"object"`
	ID                          string   `json:"id"`
	CustomerID                  string   `json:"customer_id"`
	OriginalCustomerID          string   `json:"original_customer_id"`
	ProductID                   string   `json:"product_id"`
	StartsAt                    int64    `json:"starts_at"`
	CurrentPeriodStartsAt       int64    `json:"current_period_starts_at"`
	CurrentPeriodEndsAt         int64    `json:"current_period_ends_at"`
	EndsAt                      int64    `json:"ends_at"`
	GivesAccess                 bool     `json:"gives_access"`
	PendingPayment              bool     `json:"pending_payment"`
	AutoRenewalStatus           string   `json:"auto_renewal_status"`
	Status                      string   `json:"status"`
	TotalRevenueInUSD           monetary `json:"total_revenue_in_usd"`
	PresentedOfferingID         *string  `json:"presented_offering_id"`
	Entitlements                list     `json:"entitlements"`
	Environment                 string   `json:"environment"`
	Store                       string   `json:"store"`
	StoreSubscriptionIdentifier string   `json:"store_subscription_identifier"`
	Ownership                   string   `json:"ownership"`
	Country                     string   `json:"country"`
	ManagementURL               *string  `json:"management_url"`
}

func (s *Simulator) subscriptionBody(v *subscription, now time.Time) any {
	current, latest := v.at(now), v.latest()
	body := subscriptionBody{
		Object: "subscription", ID: v.ID, CustomerID: s.books.shelf.first(v.Customer), OriginalCustomerID: s.books.shelf.first(v.Buyer),
		ProductID: current.Product, StartsAt: v.Periods[0].PurchasedAt.UnixMilli(), CurrentPeriodStartsAt: current.PurchasedAt.UnixMilli(),
		CurrentPeriodEndsAt: current.ExpiresAt.UnixMilli(), EndsAt: latest.ExpiresAt.UnixMilli(),
		GivesAccess: now.Before(latest.Effective), AutoRenewalStatus: "will_renew", Status: "active",
		TotalRevenueInUSD: usd(0), Entitlements: newList(nil, "/v2/projects/"+s.project+"/subscriptions/"+v.ID+"/entitlements", ""),
		Environment: v.Environment, Store: v.Store, StoreSubscriptionIdentifier: latest.StoreID, Ownership: ownership(v.Family), Country: country,
	}
	switch {
	case current.StoreID != latest.StoreID:
		body.AutoRenewalStatus = "has_already_renewed"
	case v.WillNot:
		body.AutoRenewalStatus = "will_not_renew"
	}
	switch {
	case !body.GivesAccess:
		body.Status = "expired"
	case current.Trial:
		body.Status = "trialing"
	case now.After(latest.ExpiresAt):
		body.Status = "in_grace_period"
	}
	return body
}

// at returns the period of a moment, or the last one that began before it.
func (s subscription) at(now time.Time) period {
	current := s.Periods[0]
	for _, p := range s.Periods {
		if !now.Before(p.PurchasedAt) {
			current = p
		}
	}
	return current
}

// periodBody is the provider's SubscriptionTransaction.
type periodBody struct {
	Object                  string   `json:"object"`
	ID                      string   `json:"id"`
	PurchasedAt             int64    `json:"purchased_at"`
	ProductStoreIdentifier  string   `json:"product_store_identifier"`
	ExpirationDate          int64    `json:"expiration_date"`
	EffectiveExpirationDate int64    `json:"effective_expiration_date"`
	RevenueInUSD            monetary `json:"revenue_in_usd"`
}

func (s *Simulator) periodBody(v period) any {
	body := periodBody{
		Object: "subscription_transaction", ID: v.StoreID, PurchasedAt: v.PurchasedAt.UnixMilli(), ProductStoreIdentifier: v.SKU,
		ExpirationDate: v.ExpiresAt.UnixMilli(), EffectiveExpirationDate: v.Effective.UnixMilli(), RevenueInUSD: usd(s.products[v.Product].Price),
	}
	if v.Trial {
		body.RevenueInUSD = usd(0)
	}
	return body
}

type aliasBody struct {
	Object    string `json:"object"`
	ID        string `json:"id"`
	CreatedAt int64  `json:"created_at"`
}
