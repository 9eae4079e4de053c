package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Outcome is what a comparison says.
type Outcome string

// The outcomes.
const (
	Agrees   Outcome = "agrees"
	Suspect  Outcome = "suspect" // differs, and is to be looked at again
	Drift    Outcome = "drift"   // differs by the same again
	Repaired Outcome = "repaired"
	Unjudged Outcome = "unjudged" // something moved, or could not be read
)

// Result is what was found of one balance.
type Result struct {
	CustomerID string           `db:"customer_id" json:"customer_id"`
	Currency   economy.Currency `db:"currency" json:"currency,omitempty"`
	Ledger     int64            `db:"ledger" json:"ledger"`     // the wallet by our books
	Provider   int64            `db:"provider" json:"provider"` // by the provider
	Drift      int64            `db:"drift" json:"drift"`       // provider less ledger; of one that was repaired: 0
	Outcome    Outcome          `db:"outcome" json:"outcome"`
	Why        string           `db:"why" json:"why,omitempty"`
	ReadAt     time.Time        `db:"read_at" json:"read_at"`
	Looks      int              `db:"looks" json:"looks"`
}

// seen is one look at a customer.
type seen struct {
	customer economy.Customer
	at       time.Time // when the reading's call began
	books    books
	held     economy.Amounts // by the provider
	why      string          // it cannot be compared; empty: it can
}

// look reads our books, the provider's balance, and our books again.
func (r *Runner) look(ctx context.Context, customer economy.Customer) (seen, error) {
	s := seen{customer: customer, at: r.Now(), held: economy.Amounts{}}
	var err error
	if s.books, err = readBooks(ctx, r.DB, customer.AppUserIDs); err != nil {
		return s, err
	}
	if s.why = s.books.open; s.why != "" {
		return s, nil // no reading would tell anything: it costs no call
	}
	reading, err := r.Provider.Balances(ctx, customer.ID)
	if err != nil {
		return s, fmt.Errorf("read the balance of a customer: %w", err)
	}
	after, err := readBooks(ctx, r.DB, customer.AppUserIDs)
	if err != nil {
		return s, err
	}
	s.at, s.held = reading.StartedAt, reading.Balances
	switch {
	case !s.books.same(after):
		s.why = "our books moved while the balance was read"
	case !reading.Known && !s.books.wallet.Equal(economy.Amounts{}):
		s.why = "the provider does not know this customer" // of another project, or deleted: not a balance of 0
	}
	return s, nil
}

// results compare the balances one by one; all currencies that either side has.
func (s seen) results() []Result {
	if s.why != "" {
		return []Result{{CustomerID: s.customer.ID, Outcome: Unjudged, Why: s.why, ReadAt: s.at}}
	}
	currencies := slices.Concat(s.books.wallet.Currencies(), s.held.Currencies())
	slices.Sort(currencies)
	var list []Result
	for _, currency := range slices.Compact(currencies) {
		one := Result{
			CustomerID: s.customer.ID, Currency: currency, Ledger: int64(s.books.wallet[currency]), Provider: int64(s.held[currency]),
			Outcome: Agrees, ReadAt: s.at,
		}
		if one.Drift = one.Provider - one.Ledger; one.Drift != 0 {
			one.Outcome = Suspect
		}
		list = append(list, one)
	}
	return list
}

// again judges a second look by the one before: the same difference, with our books as
// they were and nothing owed to them, is drift.
func again(before, now []Result, owed bool) []Result {
	drifts := map[economy.Currency]Result{}
	for _, one := range before {
		drifts[one.Currency] = one
	}
	for i, one := range now {
		was, looked := drifts[one.Currency]
		if one.Outcome != Suspect || !looked || was.Drift != one.Drift || was.Ledger != one.Ledger {
			continue
		}
		if owed {
			now[i].Outcome, now[i].Why = Unjudged, "a movement of the provider is not in our books yet: see sluice lag"
			continue
		}
		now[i].Outcome = Drift
	}
	return now
}
