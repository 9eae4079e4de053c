package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/handover"
)

// Endpoint is how one of the game's own servers stands, over all processes.
type Endpoint struct {
	Name string `json:"endpoint"`
	// Set tells whether the settings of the process that looks name it.
	Set bool `json:"set"`
	// Circuit is the worst of all processes'. Anything but closed: requests are held back.
	Circuit budget.CircuitState `json:"circuit"`
	// TroubleAge is the time since the first of the failures in a row; 0: it answers, or
	// was not asked. LastError is what became of the last request, and ProbeIn how long
	// until the next one may be sent.
	TroubleAge Seconds `json:"trouble_age_seconds"`
	Failures   int64   `json:"failures_in_a_row"`
	LastError  string  `json:"last_error,omitempty"`
	ProbeIn    Seconds `json:"probe_in_seconds"`
	// Charged are the spends whose item it owes, Refunding those whose item it is to take
	// back, and OldestAge how long the first of them has waited. 0: nothing waits.
	Charged   int64   `json:"charged"`
	Refunding int64   `json:"refunding"`
	OldestAge Seconds `json:"oldest_age_seconds"`
}

// Waiting is how many spends wait for it.
func (e Endpoint) Waiting() int64 { return e.Charged + e.Refunding }

// failingAfter is the time for which an endpoint may fail, its circuit still closed,
// before it is down: few ask it, so that it takes long to fail often.
const failingAfter = time.Minute

// Down reports whether it does not answer as it should: its circuit is not closed, or
// what waits for it has had no answer for a minute.
func (e Endpoint) Down() bool {
	return e.Circuit != budget.CircuitClosed || e.Waiting() > 0 && time.Duration(e.TroubleAge) >= failingAfter
}

var circuitStates = []budget.CircuitState{budget.CircuitClosed, budget.CircuitHalfOpen, budget.CircuitOpen}

// circuitNumber is a circuit as the metrics show it.
func circuitNumber(c budget.CircuitState) float64 { return float64(slices.Index(circuitStates, c)) }

// Endpoints reads only how the game's own servers stand, now.
func (m *Monitor) Endpoints(ctx context.Context) ([]Endpoint, error) {
	var s Snapshot
	err := m.readEndpoints(ctx, &s)
	return s.Endpoints, err
}

func (m *Monitor) readEndpoints(ctx context.Context, s *Snapshot) error {
	byName := map[string]*Endpoint{}
	at := func(name string) *Endpoint {
		if byName[name] == nil {
			byName[name] = &Endpoint{Name: name, Set: slices.Contains(m.endpoints, name), Circuit: budget.CircuitClosed}
		}
		return byName[name]
	}
	for _, name := range m.endpoints {
		at(name)
	}
	waiting, err := m.books.Undelivered(ctx)
	if err != nil {
		return err
	}
	for _, u := range waiting {
		catalog, err := m.catalogs.Catalog(ctx, u.CatalogVersion)
		switch {
		case errors.Is(err, books.ErrNotFound): // somebody deleted it, which the audit tells; the others are shown
			continue
		case err != nil:
			return fmt.Errorf("read what waits for endpoints: %w", err)
		}
		how := catalog.Items[u.Item].HandOver
		if how.Port != economy.HandOverHTTP {
			continue
		}
		e := at(how.Endpoint)
		if u.State == economy.Charged {
			e.Charged += u.Spends
		} else {
			e.Refunding += u.Spends
		}
		e.OldestAge = max(e.OldestAge, secondsOf(u.Age))
	}
	troubles, err := m.readTroubles(ctx)
	if err != nil {
		return err
	}
	for _, t := range troubles { // the newest of an endpoint comes last
		e := at(t.Endpoint)
		if state := circuitStates[t.Circuit]; e.Circuit == budget.CircuitClosed || circuitNumber(state) > circuitNumber(e.Circuit) {
			e.Circuit, e.ProbeIn = state, secondsOf(t.ProbeIn)
		}
		e.TroubleAge, e.Failures = max(e.TroubleAge, secondsOf(t.Age)), max(e.Failures, t.Failures)
		e.LastError = cmp.Or(t.LastError, e.LastError)
	}
	list := []Endpoint{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		e := byName[name]
		if e.LastError == "" && time.Duration(e.OldestAge) >= slowLive {
			if e.LastError, err = m.heard(ctx, name); err != nil {
				return err
			}
		}
		list = append(list, *e)
	}
	s.Endpoints = list
	return nil
}

// heard is what one of the deliveries that wait for an endpoint heard last, where no
// process tells of trouble: perhaps because none runs, or none knows the endpoint.
func (m *Monitor) heard(ctx context.Context, endpoint string) (string, error) {
	var list []string
	if err := m.db.SelectContext(ctx, &list, `SELECT substr(last_error, length($1) + 1) FROM outbox
		WHERE starts_with(last_error, $1) ORDER BY due_at LIMIT 1`, handover.Why(endpoint)); err != nil {
		return "", fmt.Errorf("read what endpoint %s said: %w", endpoint, err)
	}
	return strings.Join(list, ""), nil
}

// troubleRow is what one process met at an endpoint.
type troubleRow struct {
	Endpoint  string  `db:"endpoint"`
	Circuit   int     `db:"circuit"`
	Failures  int64   `db:"failures"`
	LastError string  `db:"last_error"`
	Age       float64 `db:"age"`      // seconds
	ProbeIn   float64 `db:"probe_in"` // seconds
}

func (m *Monitor) readTroubles(ctx context.Context) ([]troubleRow, error) {
	var rows []troubleRow
	err := m.db.SelectContext(ctx, &rows, `SELECT endpoint, circuit, failures, last_error, greatest(0, extract(epoch FROM now() - since))::float8 AS age,
			greatest(0, extract(epoch FROM probe_at - now()))::float8 AS probe_in
		FROM handover_troubles WHERE told_at > now() - make_interval(secs => $1) ORDER BY endpoint, told_at`, troubleKept.Seconds())
	if err != nil {
		return nil, fmt.Errorf("read troubles of endpoints: %w", err)
	}
	return rows, nil
}
