package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Transaction is one change that was applied.
type Transaction struct {
	IdempotencyKey string          `json:"idempotency_key"` // "": the call had none
	Adjustments    economy.Amounts `json:"adjustments"`
	Reference      string          `json:"reference"`
	At             time.Time       `json:"at"`
}

// entry is one change of the books and one line of the journal. Exactly one
// member is set.
type entry struct {
	Set     *setEntry     `json:"set,omitempty"`
	Applied *appliedEntry `json:"applied,omitempty"`
	Store   *storeEntry   `json:"store,omitempty"`
}

// setEntry creates a customer, or sets some balances of one.
type setEntry struct {
	Customer string          `json:"customer"`
	Balances economy.Amounts `json:"balances,omitempty"`
	At       time.Time       `json:"at"`
}

type appliedEntry struct {
	Customer string `json:"customer"`
	Request  string `json:"request"` // fingerprint of the request its key now stands for
	Transaction
}

// books are customers and keys. They know no lock, no clock and no file, so
// that a journal replayed gives the books it was written from.
type books struct {
	customers map[string]*customer // by the first of their ids
	requests  map[string]string    // idempotency key to the fingerprint of its request
	shelf     shelf                // what customers bought
}

type customer struct {
	ids          []string // the first one stands for the customer
	balances     economy.Amounts
	transactions []Transaction
	firstSeen    time.Time
	lastSeen     time.Time
}

func newBooks() *books {
	return &books{customers: map[string]*customer{}, requests: map[string]string{}, shelf: newShelf()}
}

// apply makes e true. It checks nothing: see covers.
func (b *books) apply(e entry) {
	switch {
	case e.Set != nil:
		c := b.open(e.Set.Customer, e.Set.At)
		maps.Copy(c.balances, e.Set.Balances)
	case e.Applied != nil:
		c := b.open(e.Applied.Customer, e.Applied.At)
		c.balances = c.balances.Plus(e.Applied.Adjustments)
		c.transactions = append(c.transactions, e.Applied.Transaction)
		if e.Applied.IdempotencyKey != "" {
			b.requests[e.Applied.IdempotencyKey] = e.Applied.Request
		}
	case e.Store != nil:
		b.applyStore(*e.Store)
	}
}

// customer returns the customer that has an id; nil: nobody has.
func (b *books) customer(id string) *customer { return b.customers[b.shelf.first(id)] }

func (b *books) open(id string, at time.Time) *customer {
	c := b.customer(id)
	if c == nil {
		c = &customer{ids: []string{id}, balances: economy.Amounts{}, firstSeen: at}
		b.customers[id] = c
	}
	c.lastSeen = at
	return c
}

// balances returns what a customer holds, nothing when unknown.
func (b *books) balances(id string) economy.Amounts {
	if c := b.customer(id); c != nil {
		return c.balances
	}
	return nil
}

// covers reports whether every balance stays within 0 and BalanceMax. It is
// written so that no sum can overflow.
func covers(balances, changes economy.Amounts) bool {
	for currency, change := range changes {
		balance := balances[currency]
		if change < -balance || change > economy.BalanceMax-balance {
			return false
		}
	}
	return true
}

// fingerprint tells requests apart that share a key. It goes by the bytes: a
// client that builds a body anew for a retry should be found out here.
func fingerprint(customer string, body []byte) string {
	sum := sha256.New()
	sum.Write([]byte(customer))
	sum.Write([]byte{0})
	sum.Write(body)
	return hex.EncodeToString(sum.Sum(nil))
}
