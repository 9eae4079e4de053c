package spendapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// Config configures an API. What is not marked optional is required.
type Config struct {
	Committer Committer
	Books     Books
	Provider  Provider
	Claims    Claims
	Purchases Purchases
	Sessions  Sessions
	// Catalog returns the current version, stored, so that its Version is not 0. It
	// is asked at every request and must be quick; a catalogue is never changed in
	// place.
	Catalog func() economy.Catalog
	// ETA, optional, tells when a spend that waits now is expected to be charged;
	// false when nobody knows.
	ETA func(ctx context.Context) (time.Duration, bool)
	// Paused, optional, tells what operators have paused, as words such as "currency GEM",
	// that keeps new spends of an item, or grants (no item) of currencies, from being
	// accepted; empty: nothing does. It is asked at every spend and must be quick.
	Paused     func(item string, cost economy.Amounts) string
	ServerKeys []string // bearer keys of game servers: batches, grants, and reading any spend; none: nobody has one
	AdminKeys  []string // bearer keys of operators: reading any spend
	PlayerRate float64  // requests a second of one player, all routes together, with bursts of five seconds of it; 0: no limit
	// PlayerOpenMax is how many spends and grants of one player may be open, that is
	// requested, charged or refunding; 0: no limit.
	PlayerOpenMax int64
	GrantMax      economy.Amount // the most that one grant may give of one currency; 0: no grants
	WaitersMax    int            // requests that may wait at once; 0: WaitersMaxDefault

	// Now tells the time in UTC, cut to microseconds, as PostgreSQL keeps it, so that
	// every answer tells the same; optional.
	Now     func() time.Time
	NewID   func() string         // optional: a new UUIDv7
	Log     *slog.Logger          // optional: nothing is logged
	Metrics prometheus.Registerer // optional: registered nowhere; must not have them yet
	Tracer  trace.Tracer          // optional: requests are not traced
}

// API is the HTTP API of players and game servers. It is safe for concurrent use.
type API struct {
	committer Committer
	books     Books
	claims    Claims
	purchases Purchases
	sessions  Sessions
	catalog   func() economy.Catalog
	eta       func(ctx context.Context) (time.Duration, bool)
	paused    func(item string, cost economy.Amounts) string
	servers   keyring
	readers   keyring // servers and operators
	openMax   int64
	grantMax  economy.Amount
	limiter   *playerLimiter
	pressure  pressure
	waiters   *Waiters
	wallets   *wallets
	now       func() time.Time
	newID     func() string
	log       *slog.Logger
	metrics   *metrics
	tracer    trace.Tracer
	leaving   atomic.Bool
}

// New checks the configuration, all of it at once, and starts the goroutine that
// reads for waiting requests. Close ends it.
func New(c Config) (*API, error) {
	var problems []error
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"Committer", c.Committer == nil}, {"Books", c.Books == nil}, {"Provider", c.Provider == nil}, {"Claims", c.Claims == nil},
		{"Purchases", c.Purchases == nil},
		{"Sessions", c.Sessions == nil}, {"Catalog", c.Catalog == nil},
	} {
		if need.missing {
			problems = append(problems, fmt.Errorf("%s is missing", need.name))
		}
	}
	if c.PlayerRate < 0 || c.WaitersMax < 0 || c.PlayerOpenMax < 0 || c.GrantMax < 0 || c.GrantMax > economy.BalanceMax {
		problems = append(problems, errors.New("PlayerRate, WaitersMax, PlayerOpenMax and GrantMax must not be negative, nor GrantMax more than a balance holds"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("spendapi: %w", err)
	}
	if c.Now == nil {
		c.Now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	}
	if c.NewID == nil {
		c.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Paused == nil {
		c.Paused = func(string, economy.Amounts) string { return "" }
	}
	a := &API{
		committer: c.Committer, books: c.Books, claims: c.Claims, purchases: c.Purchases, sessions: c.Sessions, catalog: c.Catalog, eta: c.ETA, paused: c.Paused,
		servers: newKeyring(c.ServerKeys), readers: newKeyring(c.ServerKeys, c.AdminKeys),
		openMax: c.PlayerOpenMax, grantMax: c.GrantMax,
		limiter: newPlayerLimiter(c.PlayerRate), now: c.Now, newID: c.NewID, log: c.Log, tracer: c.Tracer,
		waiters: NewWaiters(c.Books, c.WaitersMax, c.Log),
		wallets: newWallets(c.Provider, c.Books, c.Now, c.Log),
	}
	a.metrics = newMetrics(c.Metrics, a.waiters.Waiting)
	return a, nil
}

// handler answers a request, or returns the problem to answer with.
type handler func(x *exchange, r *http.Request) *problem

// Routes registers the API's routes on mux, and at "/" a problem for whatever has
// no route.
func (a *API) Routes(mux *http.ServeMux) {
	route := func(method, path string, h, others handler) {
		mux.Handle(method+" "+path, answering(h))
		mux.Handle(path, answering(others))
	}
	read, write := notAllowed("GET, HEAD"), notAllowed(http.MethodPost)
	route(http.MethodPost, "/spend", a.accepting(a.askSpend, a.metrics.spend), write)
	// "batch" is no spend's id, so its path lies within the other one's.
	mux.Handle("POST /spends/batch", answering(a.postBatch))
	mux.Handle("GET /spends/batch", answering(write))
	route(http.MethodGet, "/spends/{id}", a.getSpend, func(x *exchange, r *http.Request) *problem {
		if r.PathValue("id") == "batch" {
			return write(x, r)
		}
		return read(x, r)
	})
	route(http.MethodPost, "/grants", a.accepting(a.askGrant, a.metrics.grant), write)
	route(http.MethodGet, "/wallet", a.getWallet, read)
	route(http.MethodGet, "/inventory", a.getInventory, read)
	route(http.MethodPost, "/purchases/claims", a.postClaim, write)
	route(http.MethodPost, "/purchases/restore", a.postRestore, write)
	mux.Handle("/", answering(a.notFound))
}

// Handler returns the routes on a mux of their own, wrapped by Wrap. A process
// that has more endpoints uses Routes and Wrap on its own mux.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	a.Routes(mux)
	return a.Wrap(mux)
}

func answering(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(w)
		if p := h(x, r); p != nil {
			x.problem(p)
		}
	})
}

// Waits reports whether a request waits for a spend's outcome. It never blocks.
func (a *API) Waits(spendID string) bool { return a.waiters.Waits(spendID) }

// Notify wakes the requests that wait for the notice's spend. It never blocks;
// the process calls it with every notice the broker brings that somebody waits for.
func (a *API) Notify(n events.Notice) { a.waiters.Notify(n) }

// Leave makes every answer from now on the last of its connection, those to
// requests in hand included: it says Connection: close. Call it when the process
// begins to stop. A second call does nothing.
func (a *API) Leave() { a.leaving.Store(true) }

// Drain answers 202 to every request that waits for an outcome, and from now on
// waits no more. Spends are still accepted. Call it when no new connection comes
// any more: the end of the server waits for these requests. A second call does
// nothing.
func (a *API) Drain() { a.waiters.Drain() }

// Close drains, and ends all goroutines. Call it when no request is under way. A
// second call does nothing.
func (a *API) Close() {
	a.waiters.Close()
	a.wallets.close()
}
