package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// startEndpoints makes the game's own servers ready to be asked. None is dialled.
func (p *process) startEndpoints() (err error) {
	h, metrics := p.config.HandOver, handover.NewMetrics(p.registry)
	p.returned = map[string]chan struct{}{}
	for _, name := range endpointNames(h) {
		p.returned[name] = make(chan struct{}, 1)
	}
	p.endpoints, err = handover.NewEndpoints(endpointConfigs(h, func(c *handover.Config) {
		c.Log, c.Metrics = p.log, metrics
		c.Returned = func(name string) {
			select {
			case p.returned[name] <- struct{}{}:
			default: // it is known already
			}
		}
	}))
	if err != nil {
		return err
	}
	p.registry.MustRegister(&undelivered{books: p.books, catalogs: p.catalogs, names: endpointNames(h)})
	return nil
}

func endpointConfigs(h config.HandOver, more func(*handover.Config)) []handover.Config {
	var list []handover.Config
	for _, e := range h.Endpoints() {
		cfg := handover.Config{Name: e.Name, URL: e.URL.Reveal(), Confirm: e.Confirm, Timeout: h.Timeout, Slots: h.Concurrency}
		for _, secret := range e.Secrets {
			cfg.Secrets = append(cfg.Secrets, secret.Reveal())
		}
		more(&cfg)
		list = append(list, cfg)
	}
	return list
}

func endpointNames(h config.HandOver) []string {
	names := make([]string, len(h.URLs))
	for i, at := range h.URLs {
		names[i] = at.Name
	}
	return names
}

// wakeAgain is when those are woken too who were sent away while the others were.
const wakeAgain = 2 * time.Second

// startWaking has the deliveries come back that wait for an endpoint, as soon as it
// answers again, until stop. What is missed comes back in its own time.
func (p *process) startWaking(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	for name, returned := range p.returned {
		group.Go(func() { p.wakeReturned(ctx, name, returned) })
	}
	return func() { cancel(); group.Wait() }
}

func (p *process) wakeReturned(ctx context.Context, name string, returned <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-returned:
		}
		p.wakeWaiting(ctx, name)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wakeAgain):
		}
		p.wakeWaiting(ctx, name)
	}
}

func (p *process) wakeWaiting(ctx context.Context, endpoint string) {
	for _, consumer := range []string{fulfil.Spec.Name, compensate.Spec.Name} {
		n, err := outbox.Wake(ctx, p.db, consumer, handover.Why(endpoint))
		switch {
		case err != nil && ctx.Err() == nil:
			p.log.WarnContext(ctx, "what waits for an endpoint comes back in its own time", "endpoint", endpoint, "error", err)
		case n > 0:
			p.log.InfoContext(ctx, "what waited for an endpoint comes back", "endpoint", endpoint, "consumer", consumer, "deliveries", n)
		}
	}
}

// roomFor is how many more deliveries a consumer may have in hand because endpoints
// keep some of them: those of other ports have the room they had without endpoints.
func (p *process) roomFor(spec consumers.Spec) int {
	if spec.Name == fulfil.Spec.Name || spec.Name == compensate.Spec.Name {
		return p.endpoints.Room()
	}
	return 0
}

// waiting is what waits for an endpoint.
type waiting struct {
	Endpoint  string        `json:"endpoint"`
	Charged   int64         `json:"charged"`   // spends whose item is owed
	Refunding int64         `json:"refunding"` // spends whose item is to be taken back, before the cost is
	Oldest    time.Duration `json:"-"`         // since the charge
	OldestS   float64       `json:"oldest_seconds"`
	Set       bool          `json:"set"` // the settings have it
}

// waitingFor counts what waits for each endpoint that is set or waited for, sorted.
func waitingFor(ctx context.Context, b *books.Books, catalogs *books.Catalogs, names []string, now time.Time) ([]waiting, error) {
	byName := map[string]*waiting{}
	for _, name := range names {
		byName[name] = &waiting{Endpoint: name, Set: true}
	}
	list, err := b.Undelivered(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range list {
		catalog, err := catalogs.Catalog(ctx, u.CatalogVersion)
		if err != nil {
			return nil, err
		}
		how := catalog.Items[u.Item].HandOver
		if how.Port != economy.HandOverHTTP {
			continue
		}
		w := byName[how.Endpoint]
		if w == nil {
			w = &waiting{Endpoint: how.Endpoint}
			byName[how.Endpoint] = w
		}
		if u.State == economy.Charged {
			w.Charged += u.Spends
		} else {
			w.Refunding += u.Spends
		}
		w.Oldest = max(w.Oldest, now.Sub(u.Oldest))
		w.OldestS = w.Oldest.Seconds()
	}
	out := make([]waiting, 0, len(byName))
	for _, w := range byName {
		out = append(out, *w)
	}
	slices.SortFunc(out, func(a, b waiting) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return out, nil
}

// undelivered exports what waits for endpoints.
type undelivered struct {
	books    *books.Books
	catalogs *books.Catalogs
	names    []string
}

// undeliveredPatience bounds what a scrape waits for PostgreSQL.
const undeliveredPatience = 3 * time.Second

var (
	waitingDesc = prometheus.NewDesc("sluice_handover_waiting_spends",
		"Spends that wait for an endpoint of the game: charged (the item is owed) or refunding (it is to be taken back).", []string{"endpoint", "state"}, nil)
	waitingAgeDesc = prometheus.NewDesc("sluice_handover_oldest_age_seconds",
		"Time since the charge of the oldest spend that waits for an endpoint of the game.", []string{"endpoint"}, nil)
)

// Describe implements prometheus.Collector.
func (*undelivered) Describe(ch chan<- *prometheus.Desc) { ch <- waitingDesc; ch <- waitingAgeDesc }

// Collect implements prometheus.Collector. Numbers that cannot be read are left out.
func (u *undelivered) Collect(ch chan<- prometheus.Metric) {
	if len(u.names) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), undeliveredPatience)
	defer cancel()
	list, err := waitingFor(ctx, u.books, u.catalogs, u.names, time.Now())
	if err != nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, w := range list {
		gauge(waitingDesc, float64(w.Charged), w.Endpoint, string(economy.Charged))
		gauge(waitingDesc, float64(w.Refunding), w.Endpoint, string(economy.Refunding))
		gauge(waitingAgeDesc, w.OldestS, w.Endpoint)
	}
}
