package console

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// Path is where the console is.
const Path = "/console/"

// Config says what the console shows and by whom it is used. What is not marked
// optional is required.
type Config struct {
	DB        *sqlx.DB
	Books     *books.Books
	Purchases *purchases.Store
	Backfills backfill.Runs
	Keys      []Key    // none: nobody can log in, and the login says so
	Consumers []string // those there are, to be paused
	Lanes     []string
	Catalog   func() economy.Catalog // the current one
	Settings  func() []Setting       // in effect, secrets masked
	Monitor   Monitor
	// TraceLink, optional, returns where to look at a trace, or its id when nobody knows.
	TraceLink func(traceID string) string
	// Operations is where operators act.
	Operations *operations.Desk
	Now        func() time.Time
	Log        *slog.Logger
}

// Monitor tells how Sluice stands; monitor.Monitor does.
type Monitor interface {
	Snapshot(ctx context.Context) (monitor.Snapshot, error)
}

// Setting is one value in effect, safe to show.
type Setting struct {
	Variable, Value, Doc string
	Default              bool
}

// Console is the web console. It is safe for concurrent use.
type Console struct {
	Config
	db     *sqlx.DB
	now    func() time.Time
	log    *slog.Logger
	keys   keyring
	logins loginLimiter
	cross  *http.CrossOriginProtection

	versions *books.Catalogs

	sampler *sampler
	leaving chan struct{} // closed by Leave
	left    sync.Once

	patterns []string // all of Routes
}

// New returns a console.
func New(cfg Config) *Console {
	c := &Console{
		Config: cfg, db: cfg.DB, now: cfg.Now, log: cfg.Log, keys: newKeyring(cfg.Keys),
		cross: http.NewCrossOriginProtection(), versions: books.NewCatalogs(cfg.DB), leaving: make(chan struct{}),
	}
	c.sampler = newSampler(c)
	return c
}

// Leave ends what goes on for as long as a browser looks, so that a server can stop.
func (c *Console) Leave() { c.left.Do(func() { close(c.leaving) }) }

// Routes adds the console's addresses to a mux.
func (c *Console) Routes(mux *http.ServeMux) {
	mux.Handle("GET "+Path+"static/{hash}/{name}", headers(http.HandlerFunc(serveStatic)))
	c.route(mux, "GET "+Path+"login", c.loginPage)
	c.route(mux, "POST "+Path+"login", c.login)
	c.route(mux, "GET "+Path+"{$}", c.page(c.overview))
	c.route(mux, "GET "+Path+"events", c.stream(c.events))
	c.route(mux, "GET "+Path+"find", c.page(c.find))
	c.route(mux, "GET "+Path+"spends", c.page(c.spends))
	c.route(mux, "GET "+Path+"spends/{id}", c.page(c.spend))
	c.route(mux, "GET "+Path+"configuration", c.page(c.configuration))
	c.route(mux, "GET "+Path+"{rest...}", c.page(func(*request) error { return errNotFound }))
	c.route(mux, "GET "+Path+"audit", c.page(c.audit))
	c.route(mux, "GET "+Path+"reconciliation", c.page(c.reconciliation))
	c.route(mux, "GET "+Path+"handover", c.page(c.handover))
	c.act(mux, "logout", Viewer, c.logout)
	c.spendRoutes(mux)
	c.playerRoutes(mux)
	c.purchaseRoutes(mux)
	c.webhookRoutes(mux)
	c.letterRoutes(mux)
	c.refundRoutes(mux)
	c.backfillRoutes(mux)
	c.pauseRoutes(mux)
}
