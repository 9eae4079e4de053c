package simulator

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// The stores that some rule here names.
const (
	appStore    = "app_store"
	playStore   = "play_store"
	stripeStore = "stripe"
)

// Buy is a purchase to be made. Only Customer and Product are required.
type Buy struct {
	Customer    string        // created if nobody has this id
	Product     string        // the store's identifier
	Store       string        // "": app_store
	Sandbox     bool          // with a tester's account
	Quantity    int64         // of a one-time purchase; 0: 1
	Trial       bool          // of a subscription: the first period is free, and credits nothing
	Family      bool          // shared by a family member
	Lasts       time.Duration // of a subscription: its first period; 0: as the product says
	Transaction string        // the store's id of it; "": made up
}

// Bought says what became of something at a store.
type Bought struct {
	ID          string   `json:"id"`          // the provider's id of the purchase or subscription
	Transaction string   `json:"transaction"` // the store's, of this purchase or period
	Events      []string `json:"events"`      // ids of the webhooks' events that tell of it
}

// Buy lets a customer buy a product: once, or the first period of a subscription.
// The events INITIAL_PURCHASE or NON_RENEWING_PURCHASE follow, and
// VIRTUAL_CURRENCY_TRANSACTION when it brings currency.
func (s *Simulator) Buy(b Buy) (Bought, error) {
	if b.Store == "" {
		b.Store = appStore
	}
	b.Quantity = max(b.Quantity, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.productOf(b.Store, b.Product)
	switch {
	case err != nil:
		return Bought{}, err
	case b.Customer == "":
		return Bought{}, errors.New("customer is empty")
	case b.Lasts < 0, b.Lasts > 0 && p.Lasts == 0, b.Trial && p.Lasts == 0:
		return Bought{}, fmt.Errorf("%s is bought once: it has no period and no trial", b.Product)
	case b.Quantity > 1 && p.Lasts > 0:
		return Bought{}, fmt.Errorf("%s is a subscription: there is one of it", b.Product)
	case b.Transaction != "" && s.books.shelf.byStoreID[b.Transaction] != "":
		return Bought{}, fmt.Errorf("transaction %s exists", b.Transaction)
	}
	environment := "production"
	if b.Sandbox {
		environment = "sandbox"
	}
	h := s.begin()
	if b.Transaction == "" {
		b.Transaction = h.transaction(b.Store)
	}
	if p.Lasts == 0 {
		v := sale{
			ID: h.id("purch"), StoreID: b.Transaction, Customer: b.Customer, Buyer: b.Customer, Product: p.ID, SKU: p.Identifier, Store: p.Store,
			Environment: environment, Quantity: b.Quantity, PurchasedAt: h.at, Family: b.Family,
		}
		t := h.aboutSale(v)
		h.tell("NON_RENEWING_PURCHASE", t, priced(1))
		v.Currency = h.bring(t, p.Credits, v.Quantity)
		h.entry.Sales = append(h.entry.Sales, v)
		return h.commit(v.ID, v.StoreID)
	}
	lasts := p.Lasts
	if b.Lasts > 0 {
		lasts = b.Lasts
	}
	v := subscription{
		ID: h.id("sub"), Customer: b.Customer, Buyer: b.Customer, Store: p.Store, Environment: environment, Family: b.Family,
		Periods: []period{{
			StoreID: b.Transaction, Product: p.ID, SKU: p.Identifier, PurchasedAt: h.at,
			ExpiresAt: h.at.Add(lasts), Effective: h.at.Add(lasts), Trial: b.Trial,
		}},
	}
	t := h.aboutPeriod(v, 0)
	h.tell("INITIAL_PURCHASE", t, priced(1))
	if !b.Trial {
		v.Periods[0].Currency = h.bring(t, p.Credits, 1)
	}
	h.entry.Subscriptions = append(h.entry.Subscriptions, v)
	return h.commit(v.ID, b.Transaction)
}

// happening is one thing at a store, being put together: what changes, and which
// events tell of it. The simulator's lock is held from begin to commit.
type happening struct {
	sim    *Simulator
	at     time.Time
	entry  storeEntry
	events []event
}

// begin starts a happening. The caller holds mu.
func (s *Simulator) begin() *happening {
	at := s.timestamp()
	return &happening{sim: s, at: at, entry: storeEntry{At: at, Numbers: max(s.books.shelf.numbers, s.startedAt.UnixMilli())}}
}

// number returns one that was never used, also not before a restart without a journal.
func (h *happening) number() int64 {
	h.entry.Numbers++
	return h.entry.Numbers
}

func (h *happening) id(prefix string) string { return fmt.Sprintf("%s%013d", prefix, h.number()) }

// transaction makes up an id as the store's look.
func (h *happening) transaction(store string) string {
	n := h.number()
	switch store {
	case appStore:
		return fmt.Sprint(n)
	case playStore:
		return fmt.Sprintf("GPA.%04d-%04d-%04d-%05d", n/1e9%1e4, n/1e5%1e4, n/1e3%100, n%1e5)
	case stripeStore:
		return fmt.Sprintf("si_%d", n)
	}
	return fmt.Sprintf("%s_%d", store, n)
}

// commit makes the happening true and sends its events.
func (h *happening) commit(id, transaction string) (Bought, error) {
	if err := h.sim.write(entry{Store: &h.entry}); err != nil {
		return Bought{}, err
	}
	out := Bought{ID: id, Transaction: transaction, Events: []string{}}
	for _, e := range h.events {
		out.Events = append(out.Events, e.ID)
	}
	h.sim.hooks.enqueue(h.events)
	return out, nil
}

// bring credits the currency of units of a product to its owner.
func (h *happening) bring(t told, credits economy.Amounts, units int64) currency {
	amounts := economy.Amounts{}
	for code, each := range credits {
		amounts[code] = each * economy.Amount(units)
	}
	return currency{Holder: t.owner, Brought: h.move(t, t.owner, amounts)}
}

// move changes the balances of a holder, within what a balance can be, and tells of
// it. It returns what was changed.
func (h *happening) move(t told, holder string, changes economy.Amounts) economy.Amounts {
	amounts := economy.Amounts{}
	balances := h.sim.books.balances(holder)
	for code, change := range changes {
		held := balances[code]
		if change = max(min(change, economy.BalanceMax-held), -held); change != 0 {
			amounts[code] = change
		}
	}
	if len(amounts) == 0 {
		return nil
	}
	m := move{ID: h.id("vatx_"), Customer: holder, Amounts: amounts}
	h.entry.Moves = append(h.entry.Moves, m)
	h.tellMove(t, m, balances)
	return amounts
}
