package budget

import (
	"context"
	"time"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// CircuitState is how the shared circuit breaker stands.
type CircuitState string

// The states of the circuit.
const (
	CircuitClosed   CircuitState = "closed"    // calls go through
	CircuitHalfOpen CircuitState = "half-open" // one probe may, or is under way
	CircuitOpen     CircuitState = "open"      // none does
)

// Status is what all processes know of one domain.
type Status struct {
	Domain    revenuecat.Domain
	Limit     int           // calls a minute, as the provider said; 0: it never did
	Used      int           // calls of the last minute, over all processes and others that were noticed
	Waiting   int           // calls that wait for a permit, not those parked
	ClosedFor time.Duration // until the end of a pause; 0: there is none

	demand perWeight // what Waiting is made of
}

// Status reads the domains that were ever called, and the circuit, from PostgreSQL.
func (b *Budget) Status(ctx context.Context) ([]Status, CircuitState, error) {
	s, err := Read(ctx, b.store.db)
	return s.Domains, s.Circuit, err
}

func (s circuitState) state() CircuitState {
	switch {
	case !s.Open:
		return CircuitClosed
	case s.Probing || s.ProbeMS == 0:
		return CircuitHalfOpen
	}
	return CircuitOpen
}

// Health says in a word how the provider was, as far as this process knows: closed,
// half-open or open. It asks nobody, and serves /readyz.
func (b *Budget) Health() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := b.breaker.wait(b.config.Now())
	return string(circuitState{Open: b.breaker.open, Probing: b.breaker.probing, ProbeMS: wait.Milliseconds()}.state())
}

// ETA is how long the provider's limit needs for a number of waiting calls of a
// weight, beside what else waits: 14,200 calls at 480 a minute are 29 min 35 s. 0:
// no limit is known. It asks nobody: what it knows is at most some seconds old.
func (b *Budget) ETA(domain revenuecat.Domain, weight Weight, waiting int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.desk(domain)
	now := b.config.Now()
	pause := max(0, d.closedUntil.Sub(now), b.breaker.wait(now))
	return eta(b.limitLeft(d.limit), b.config.Window, share(weight, d.demand), waiting, pause)
}

// share is what falls to a weight beside those that have calls waiting.
func share(weight Weight, demand perWeight) float64 {
	sum := shares[weight]
	for w, calls := range demand {
		if calls > 0 && Weight(w) != weight {
			sum += shares[w]
		}
	}
	return shares[weight] / sum
}

func eta(limit int, span time.Duration, share float64, waiting int, pause time.Duration) time.Duration {
	if waiting <= 0 {
		return 0
	}
	if limit == 0 {
		return pause
	}
	return pause + time.Duration(float64(waiting)/(float64(limit)*share)*float64(span))
}
