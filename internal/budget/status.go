package budget

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
}

// Status reads the domains that were ever called, and the circuit, from PostgreSQL.
func (b *Budget) Status(ctx context.Context) ([]Status, CircuitState, error) {
	records, circuit, err := b.store.all(ctx)
	if err != nil {
		return nil, "", err
	}
	list := make([]Status, len(records))
	for i, r := range records {
		list[i] = Status{
			Domain: revenuecat.Domain(r.Domain), Limit: r.Limit, Used: r.account.Log.after(r.Now).used(),
			Waiting: r.account.demand().total(), ClosedFor: time.Duration(max(0, r.ClosedUntil-r.Now)) * time.Millisecond,
		}
	}
	return list, circuit.state(), nil
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

// Collector exports the budget's metrics.
type Collector struct {
	Budget *Budget
	// Waiting counts the adjustments that wait for the provider; nil: no ETA.
	Waiting func(ctx context.Context) (int, error)
}

// collectPatience bounds what a scrape waits for PostgreSQL.
const collectPatience = 3 * time.Second

var (
	limitDesc = prometheus.NewDesc("sluice_provider_budget_limit_per_minute",
		"Calls a minute the provider allows, as its headers said.", []string{"domain"}, nil)
	usedDesc = prometheus.NewDesc("sluice_provider_budget_used",
		"Calls of the last minute, over all processes.", []string{"domain"}, nil)
	closedDesc = prometheus.NewDesc("sluice_provider_budget_closed_seconds",
		"Time until the end of the pause the provider asked for; 0: none.", []string{"domain"}, nil)
	circuitDesc = prometheus.NewDesc("sluice_provider_circuit_state",
		"The circuit breaker: 0 closed, 1 half-open, 2 open.", nil, nil)
	etaDesc = prometheus.NewDesc("sluice_provider_backlog_eta_seconds",
		"Time the provider's limit needs for the adjustments that wait.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{limitDesc, usedDesc, closedDesc, circuitDesc, etaDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector. Numbers that cannot be read are left
// out, so that an alert on their absence works.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	list, circuit, err := c.Budget.Status(ctx)
	if err != nil {
		return
	}
	for _, s := range list {
		gauge(limitDesc, float64(s.Limit), string(s.Domain))
		gauge(usedDesc, float64(s.Used), string(s.Domain))
		gauge(closedDesc, s.ClosedFor.Seconds(), string(s.Domain))
	}
	gauge(circuitDesc, map[CircuitState]float64{CircuitClosed: 0, CircuitHalfOpen: 1, CircuitOpen: 2}[circuit])
	if c.Waiting == nil {
		return
	}
	if waiting, err := c.Waiting(ctx); err == nil {
		gauge(etaDesc, c.Budget.ETA(revenuecat.Transactions, Live, waiting).Seconds())
	}
}
