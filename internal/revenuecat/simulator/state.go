package simulator

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/sluice-gems/sluice/economy"
)

// Stats are counters since the start, or since the last reset.
type Stats struct {
	Calls       int            `json:"calls"`        // below /v2
	ByStatus    map[int]int    `json:"by_status"`    // HTTP status to calls answered with it
	ByOperation map[string]int `json:"by_operation"` // transaction, balances, purchases, ...: the endpoint
	Cut         int            `json:"cut"`          // connections cut without an answer
	Applied     int            `json:"applied"`      // transactions that moved balances
	Replayed    int            `json:"replayed"`     // transactions known by their key, which moved nothing
	Refused     int            `json:"refused"`      // calls answered 422
	Customers   int            `json:"customers"`    // customers there are
}

// Sum is one customer's total.
type Sum struct {
	Balances     economy.Amounts `json:"balances"`
	Adjusted     economy.Amounts `json:"adjusted"` // the sum of all transactions that were applied
	Transactions int             `json:"transactions"`
}

func newStats() Stats { return Stats{ByStatus: map[int]int{}, ByOperation: map[string]int{}} }

// count notes one call; status 0: it got no answer.
func (s *Simulator) count(operation string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Calls++
	s.stats.ByOperation[operation]++
	switch status {
	case 0:
		s.stats.Cut++
		return
	case http.StatusUnprocessableEntity:
		s.stats.Refused++
	}
	s.stats.ByStatus[status]++
}

// Stats returns the counters.
func (s *Simulator) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.ByStatus, out.ByOperation = maps.Clone(out.ByStatus), maps.Clone(out.ByOperation)
	out.Customers = len(s.books.customers)
	return out
}

// Sums returns the total of every customer.
func (s *Simulator) Sums() map[string]Sum {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]Sum, len(s.books.customers))
	for id, c := range s.books.customers {
		sum := Sum{Balances: maps.Clone(c.balances), Adjusted: economy.Amounts{}, Transactions: len(c.transactions)}
		for _, t := range c.transactions {
			for currency, amount := range t.Adjustments {
				sum.Adjusted[currency] += amount
			}
		}
		out[id] = sum
	}
	return out
}

// SetBalance creates a customer, or sets the balances named of one and keeps
// the others. Its error names a currency or an amount that cannot be, or a
// journal that cannot be written; then nothing has changed. Any id but "" will do.
func (s *Simulator) SetBalance(id string, balances economy.Amounts) error {
	if id == "" {
		return fmt.Errorf("customer id is empty")
	}
	for _, currency := range balances.Currencies() {
		if s.currencies[currency] == "" {
			return fmt.Errorf("the project has no currency %q", currency)
		}
		if amount := balances[currency]; amount < 0 || amount > economy.BalanceMax {
			return fmt.Errorf("%d %s: %w", amount, currency, economy.ErrAmountRange)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(entry{Set: &setEntry{Customer: id, Balances: maps.Clone(balances), At: s.timestamp()}})
}

// Balance returns what a customer holds; nil: there is no such customer.
func (s *Simulator) Balance(id string) economy.Amounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.books.balances(id))
}

// Transactions returns what was applied to a customer, oldest first.
func (s *Simulator) Transactions(id string) []Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.books.customer(id); c != nil {
		return slices.Clone(c.transactions)
	}
	return nil
}

// Reset forgets customers, keys and counters, empties the journal, and returns
// to the faults of the start. A write under way may still be applied after it.
func (s *Simulator) Reset() error {
	s.hooks.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal != nil {
		if err := s.journal.clear(); err != nil {
			return err
		}
	}
	numbers := s.books.shelf.numbers
	s.books = newBooks()
	s.books.shelf.numbers = numbers // ids are never used again
	s.restart()
	return nil
}
