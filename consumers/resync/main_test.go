package resync_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers/resync"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a consumer between the simulator, over HTTP, and a real PostgreSQL. Its
// clock moves when told to, or when the consumer waits.
type world struct {
	*simulator.Simulator
	t         *testing.T
	db        *sqlx.DB
	committer *outbox.Committer
	store     *purchases.Store
	books     *books.Books
	consumer  *resync.Consumer

	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

const month = 30 * 24 * time.Hour

var wares = []simulator.Product{
	{Store: "app_store", Identifier: "gems_100", Price: 1.99, Credits: economy.Amounts{"GEM": 100}},
	{Store: "app_store", Identifier: "premium", Price: 9.99, Lasts: month},
	{Store: "play_store", Identifier: "premium:monthly", Price: 9.99, Lasts: month},
	{Store: "stripe", Identifier: "premium", Price: 9.99, Lasts: month},
}

func newWorld(t *testing.T, wrap ...func(http.Handler) http.Handler) *world {
	t.Helper()
	w := &world{t: t, now: noon, db: testenv.Postgres(t)}
	var err error
	w.Simulator, err = simulator.New(simulator.Config{Now: w.clock, Products: wares})
	require.NoError(t, err)
	var handler http.Handler = w.Simulator
	for _, around := range wrap {
		handler = around(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.Close(); require.NoError(t, w.Close()) })
	client, err := revenuecat.New(revenuecat.Config{
		BaseURL: server.URL + "/v2", ProjectID: simulator.ProjectIDDefault, SecretKey: func() string { return "sk" }, Now: w.clock,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	w.committer = outbox.NewCommitter(outbox.CommitterConfig{DB: w.db, Subscriptions: outbox.Subscriptions{
		events.StorePurchaseChangedV1: {"access"}, events.StoreCustomerChangedV1: {"access"}, events.CustomerResyncRequestedV1: {"resync"},
	}})
	t.Cleanup(w.committer.Close)
	w.store, w.books = purchases.NewStore(w.db), books.New(w.db)
	reader := client.Reader(nil)
	w.consumer = &resync.Consumer{
		Reader: reader, Products: revenuecat.NewProducts(reader), Balances: client, Mirror: w.books, Store: w.store,
		Recorder: &purchases.Recorder{Store: w.store, Committer: w.committer, Now: w.clock},
		Now:      w.clock, Log: slog.New(slog.DiscardHandler), Gather: resync.GatherDefault,
		Claims: resync.ClaimTimes{Webhook: 30 * time.Second, Patience: 5 * time.Minute},
		Wait: func(ctx context.Context, d time.Duration) error {
			w.pass(d)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.waited = append(w.waited, d)
			return ctx.Err()
		},
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// bought returns the store's transaction of what a store did.
func (w *world) bought(b simulator.Bought, err error) string {
	w.t.Helper()
	require.NoError(w.t, err)
	w.pass(time.Minute)
	return b.Transaction
}

// wish returns the wish of a reason and cause, made now.
func (w *world) wish(reason events.ResyncReason, cause, player string) events.Event {
	return events.NewCustomerResyncRequested(events.Store, reason, cause, player, w.clock())
}

// consume consumes a wish and commits what it wants changed.
func (w *world) consume(event events.Event) error {
	effects, err := w.consumer.Consume(w.t.Context(), event)
	if err != nil {
		return err
	}
	_, err = w.committer.Commit(w.t.Context(), effects)
	return err
}

// resync wishes to read a player again, and has it read.
func (w *world) resync(player, cause string) {
	w.t.Helper()
	require.NoError(w.t, w.consume(w.wish(events.ResyncOperator, cause, player)))
}

func (w *world) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.db.GetContext(w.t.Context(), &n, query, args...))
	return n
}

// purchase is what is known of a transaction.
func (w *world) purchase(store economy.Store, environment economy.Environment, id string) economy.Purchase {
	w.t.Helper()
	recorded, err := w.store.Purchase(w.t.Context(), economy.PurchaseKey{Store: store, Environment: environment, TransactionID: id})
	require.NoError(w.t, err)
	return recorded.Purchase
}

// rows is everything a table holds, as JSON, but for some columns.
func (w *world) rows(table string, without ...string) []string {
	w.t.Helper()
	var rows []string
	require.NoError(w.t, w.db.SelectContext(w.t.Context(), &rows, "SELECT to_jsonb(t)::text FROM "+table+" t ORDER BY 1"))
	for i, row := range rows {
		var members map[string]any
		require.NoError(w.t, json.Unmarshal([]byte(row), &members))
		for _, name := range without {
			delete(members, name)
		}
		raw, err := json.Marshal(members)
		require.NoError(w.t, err)
		rows[i] = string(raw)
	}
	return rows
}
