package audit

import "github.com/sluice-gems/sluice/economy"

// Sum is what one currency comes to.
type Sum struct {
	Charged   int64 `json:"charged"`   // by the ledger
	Fulfilled int64 `json:"fulfilled"` // by the ledger, less what was taken back
	Refunded  int64 `json:"refunded"`  // by the ledger
	Granted   int64 `json:"granted"`   // by the ledger
	InFlight  int64 `json:"in_flight"` // by the states of the spends
}

// Off is by how much the currency is not conserved; 0: it is.
func (s Sum) Off() int64 { return s.Charged - s.Fulfilled - s.Refunded - s.InFlight }

func (s *Sum) add(kind string, units int64) {
	switch economy.EntryKind(kind) { //nolint:exhaustive // what the provider moved by itself is no spend's
	case economy.EntryCharge:
		s.Charged += units
	case economy.EntryFulfil, economy.EntryKeep:
		s.Fulfilled += units
	case economy.EntryReclaim:
		s.Fulfilled -= units
	case economy.EntryRefund:
		s.Refunded += units
	case economy.EntryGrant:
		s.Granted += units
	}
}

// Sums is what an audit counted.
type Sums struct {
	Spends     int64                     `json:"spends"`
	Lines      int64                     `json:"ledger_lines"`
	Currencies map[economy.Currency]*Sum `json:"currencies"`
}

func (s *Sums) of(currency economy.Currency) *Sum {
	if s.Currencies == nil {
		s.Currencies = map[economy.Currency]*Sum{}
	}
	if s.Currencies[currency] == nil {
		s.Currencies[currency] = &Sum{}
	}
	return s.Currencies[currency]
}
