package budget

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// Standing is what PostgreSQL knows of the budget, for whoever calls nobody and only
// wants to show it.
type Standing struct {
	Domains []Status // that were ever called, sorted
	Circuit CircuitState
	Reason  string        // why the circuit opened last; empty: it never did
	ProbeIn time.Duration // until an open circuit lets a call through to see; 0: it may
}

// Read returns how the budget that all processes share stands.
func Read(ctx context.Context, db *sqlx.DB) (Standing, error) {
	records, circuit, err := store{db}.all(ctx)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Domains: make([]Status, len(records)), Circuit: circuit.state(), Reason: circuit.Reason}
	for i, r := range records {
		s.Domains[i] = Status{
			Domain: revenuecat.Domain(r.Domain), Limit: r.Limit, Used: r.account.Log.after(r.Now).used(),
			Waiting: r.account.demand().total(), ClosedFor: time.Duration(max(0, r.ClosedUntil-r.Now)) * time.Millisecond,
			demand: r.account.demand(),
		}
	}
	if circuit.Open {
		s.ProbeIn = time.Duration(circuit.ProbeMS) * time.Millisecond
	}
	return s, nil
}

// ETA is how long the provider's limit, headroom taken off, needs for a number of
// waiting calls of a weight beside what else waits: 14,200 calls at 480 a minute are
// 29 min 35 s. 0: nothing waits, or no limit is known.
func (s Standing) ETA(domain revenuecat.Domain, weight Weight, waiting int) time.Duration {
	for _, d := range s.Domains {
		if d.Domain == domain {
			return eta(usable(d.Limit, HeadroomDefault), windowDefault, share(weight, d.demand), waiting, max(d.ClosedFor, s.ProbeIn))
		}
	}
	return 0
}
