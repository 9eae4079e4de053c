package main

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// provider is RevenueCat behind the budget that all processes share. There is one
// per process.
type provider struct {
	*budget.Provider
	id     string // names the process in the budget and in leases
	budget *budget.Budget
	client *revenuecat.Client
	pool   *sqlx.DB
	eta    *etas

	reads    *revenuecat.Reader // every call within the budget
	products *revenuecat.Products
}

// readPatience is how long a call of a reading is waited for in the middle of it,
// before the reading is given up and begun again later.
const readPatience = 10 * time.Second

// budgetPool is the budget's own connections: a lease must not wait behind reads.
const budgetPool = 4

// startProvider opens the budget and the client. Its statements are short, and
// need not be on disk before a call starts: what a crash of the database forgets
// is a second of calls, which the headroom covers.
func (p *process) startProvider(ctx context.Context) (*provider, error) {
	url := p.config.Database.URL.Reveal()
	pool, err := postgres.Open(ctx, postgres.Config{
		URL: url, MaxConns: budgetPool, Log: p.log,
		Session: map[string]string{"statement_timeout": "2s", "synchronous_commit": "off"},
	})
	if err != nil {
		return nil, err
	}
	id := outbox.NewID()
	shared, err := budget.Open(budget.Config{DB: pool, Listen: postgres.Config{URL: url}, Process: id, Log: p.log})
	if err != nil {
		_ = pool.Close()
		return nil, err
	}
	client, err := p.newClient(func(call revenuecat.Call) { p.providerMetrics.observe(call); shared.Observe(call) })
	if err != nil {
		shared.Close()
		_ = pool.Close()
		return nil, err
	}
	eta := &etas{db: p.db, budget: shared}
	reads := client.Reader(shared.Admit(budget.Resync, readPatience))
	return &provider{
		Provider: budget.NewProvider(shared, client, budget.Live), id: id, budget: shared, client: client, pool: pool, eta: eta,
		reads: reads, products: revenuecat.NewProducts(reads),
	}, nil
}

// newClient returns the client of RevenueCat. A key that was read from a file is
// read again when the file changes.
func (p *process) newClient(observe func(revenuecat.Call)) (*revenuecat.Client, error) {
	rc := p.config.RevenueCat
	key := rc.SecretKey.Reveal
	if rc.SecretKeyFile != "" {
		key = config.NewFileSecret("SLUICE_REVENUECAT_SECRET_KEY", rc.SecretKeyFile, rc.SecretKey, os.ReadFile, time.Now, p.log).Reveal
	}
	return revenuecat.New(revenuecat.Config{
		BaseURL: rc.URL.Reveal(), ProjectID: rc.ProjectID, SecretKey: key, Log: p.log, Observe: observe,
	})
}

func (p *provider) close() {
	p.budget.Close()
	p.client.Close()
	_ = p.pool.Close()
}

// providerStatus says how the provider is, for /readyz.
func (p *process) providerStatus() string {
	return p.providerMetrics.status() + ", circuit " + p.provider.budget.Health()
}

// etas tells how long what waits for the provider will take.
type etas struct {
	db     *sqlx.DB
	budget *budget.Budget

	mu      sync.Mutex
	waiting int
	readAt  time.Time
}

// etaFresh is how old the count may be.
const etaFresh = 2 * time.Second

// count returns how many calls wait.
func (e *etas) count(ctx context.Context) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.readAt) < etaFresh {
		return e.waiting, nil
	}
	waiting, err := monitor.Waiting(ctx, e.db)
	if err != nil {
		return 0, err
	}
	e.waiting, e.readAt = waiting, time.Now()
	return waiting, nil
}

// expect returns when a spend that waits now is expected to be charged, after all
// that waits; false when no limit of the provider is known.
func (e *etas) expect(ctx context.Context) (time.Duration, bool) {
	waiting, err := e.count(ctx)
	if err != nil {
		return 0, false
	}
	eta := e.budget.ETA(revenuecat.Transactions, budget.Live, waiting)
	return eta, eta > 0
}
