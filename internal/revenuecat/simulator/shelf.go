package simulator

import (
	"maps"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// shelf is what customers bought with money, and which ids are one customer.
type shelf struct {
	firsts        map[string]string // an id to the first id of its customer; not there: it is the first itself
	sales         map[string]*sale  // one-time purchases, by our id
	subscriptions map[string]*subscription
	byStoreID     map[string]string // a store's transaction to our id of its sale or subscription
	owned         map[string]owned  // what a customer has, by the customer's first id
	numbers       int64             // the highest number that ids were made of
}

// owned is a set of our ids of sales and subscriptions.
type owned map[string]struct{}

func newShelf() shelf {
	return shelf{
		firsts: map[string]string{}, sales: map[string]*sale{}, subscriptions: map[string]*subscription{}, byStoreID: map[string]string{},
		owned: map[string]owned{},
	}
}

// first returns the id that stands for the customer of an id.
func (s shelf) first(id string) string {
	if first, linked := s.firsts[id]; linked {
		return first
	}
	return id
}

// sale is a one-time purchase.
type sale struct {
	ID          string    `json:"id"`
	StoreID     string    `json:"store_id"`
	Customer    string    `json:"customer"` // the id it was made under, or transferred to
	Buyer       string    `json:"buyer"`    // the id it was made under
	Product     string    `json:"product"`  // our id of it
	SKU         string    `json:"sku"`      // the store's
	Store       string    `json:"store"`
	Environment string    `json:"environment"`
	Quantity    int64     `json:"quantity"`
	PurchasedAt time.Time `json:"purchased_at"`
	Family      bool      `json:"family,omitempty"`
	Refunded    bool      `json:"refunded,omitempty"`
	Currency    currency  `json:"currency,omitzero"`
}

// subscription is all periods of one subscription, oldest first.
type subscription struct {
	ID          string   `json:"id"`
	Customer    string   `json:"customer"`
	Buyer       string   `json:"buyer"`
	Store       string   `json:"store"`
	Environment string   `json:"environment"`
	Family      bool     `json:"family,omitempty"`
	WillNot     bool     `json:"will_not,omitempty"` // renew
	Ended       bool     `json:"ended,omitempty"`    // by the store, before its time or at it
	Periods     []period `json:"periods"`
}

// period is one paid period, or a free trial.
type period struct {
	StoreID     string    `json:"store_id"`
	Product     string    `json:"product"`
	SKU         string    `json:"sku"`
	PurchasedAt time.Time `json:"purchased_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	Effective   time.Time `json:"effective"` // when access ends: at the end, after a grace, or when the store ended it
	Trial       bool      `json:"trial,omitempty"`
	Refunded    bool      `json:"refunded,omitempty"`
	Currency    currency  `json:"currency,omitzero"`
}

// currency is what a purchase brought to whom, and what a refund could take of it: a
// reversal gives that again.
type currency struct {
	Holder  string          `json:"holder,omitempty"`
	Brought economy.Amounts `json:"brought,omitempty"`
	Taken   economy.Amounts `json:"taken,omitempty"`
}

func (s subscription) latest() period { return s.Periods[len(s.Periods)-1] }

// storeEntry is one thing that happened at a store, with everything that changed by
// it: sales and subscriptions as they are from now on.
type storeEntry struct {
	At            time.Time      `json:"at"`
	Numbers       int64          `json:"numbers"`
	Sales         []sale         `json:"sales,omitempty"`
	Subscriptions []subscription `json:"subscriptions,omitempty"`
	Link          *link          `json:"link,omitempty"`
	Moves         []move         `json:"moves,omitempty"`
}

// link makes two ids one customer.
type link struct {
	One   string `json:"one"`
	Other string `json:"other"`
}

// move changes the balances of a customer.
type move struct {
	ID       string          `json:"id"` // virtual_currency_transaction_id
	Customer string          `json:"customer"`
	Amounts  economy.Amounts `json:"amounts"`
}

func (b *books) applyStore(e storeEntry) {
	b.shelf.numbers = max(b.shelf.numbers, e.Numbers)
	if e.Link != nil {
		b.link(e.Link.One, e.Link.Other, e.At)
	}
	for _, s := range e.Sales {
		if before := b.shelf.sales[s.ID]; before != nil {
			b.shelf.disown(before.Customer, s.ID)
		}
		b.shelf.own(b.open(s.Customer, e.At), s.ID)
		b.shelf.sales[s.ID], b.shelf.byStoreID[s.StoreID] = &s, s.ID
	}
	for _, s := range e.Subscriptions {
		if before := b.shelf.subscriptions[s.ID]; before != nil {
			b.shelf.disown(before.Customer, s.ID)
		}
		b.shelf.own(b.open(s.Customer, e.At), s.ID)
		b.shelf.subscriptions[s.ID] = &s
		for _, p := range s.Periods {
			b.shelf.byStoreID[p.StoreID] = s.ID
		}
	}
	for _, m := range e.Moves {
		c := b.open(m.Customer, e.At)
		c.balances = c.balances.Plus(m.Amounts)
	}
}

func (s shelf) own(c *customer, id string) {
	first := c.ids[0]
	if s.owned[first] == nil {
		s.owned[first] = owned{}
	}
	s.owned[first][id] = struct{}{}
}

func (s shelf) disown(customer, id string) { delete(s.owned[s.first(customer)], id) }

// link makes two customers one, under the id seen first. What both hold is added up;
// the provider does not document what becomes of it.
func (b *books) link(one, other string, at time.Time) {
	into, from := b.open(one, at), b.open(other, at)
	if into == from {
		return
	}
	if from.firstSeen.Before(into.firstSeen) {
		into, from = from, into
	}
	delete(b.customers, from.ids[0])
	for item := range b.shelf.owned[from.ids[0]] {
		b.shelf.own(into, item)
	}
	delete(b.shelf.owned, from.ids[0])
	for _, alias := range from.ids {
		b.shelf.firsts[alias] = into.ids[0]
	}
	into.ids = append(into.ids, from.ids...)
	into.transactions = append(into.transactions, from.transactions...)
	slices.SortStableFunc(into.transactions, func(a, b Transaction) int { return a.At.Compare(b.At) })
	into.balances = into.balances.Plus(from.balances)
	for currency, amount := range into.balances {
		into.balances[currency] = min(amount, economy.BalanceMax)
	}
}

// bought returns what a customer owns now, in the order it was bought.
func (b *books) bought(id string) (sales []*sale, subscriptions []*subscription) {
	for _, item := range slices.Sorted(maps.Keys(b.shelf.owned[b.shelf.first(id)])) {
		if s := b.shelf.sales[item]; s != nil {
			sales = append(sales, s)
		} else {
			subscriptions = append(subscriptions, b.shelf.subscriptions[item])
		}
	}
	return sales, subscriptions
}
