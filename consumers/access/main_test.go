package access_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/access"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// told is the file of documented flows: internal/revenuecat/webhooks writes it.
type told struct {
	Day0    time.Time       `json:"day0"`
	Catalog json.RawMessage `json:"catalog"`
	Flows   []struct {
		Name   string
		Events []json.RawMessage
		Want   map[string]string
	}
}

func flows(t testing.TB) told {
	t.Helper()
	raw, err := os.ReadFile("../../internal/revenuecat/webhooks/testdata/flows.golden")
	require.NoError(t, err)
	var file told
	require.NoError(t, json.Unmarshal(raw, &file))
	require.GreaterOrEqual(t, len(file.Flows), 35)
	return file
}

// road is everything between a webhook's body and what a player holds: the real
// committer and runner over the real tables. The outbox is read in place of a broker.
type road struct {
	db        *sqlx.DB
	committer *outbox.Committer
	store     *purchases.Store
	runner    *consumers.Runner
	catchUp   access.CatchUp
	day0      time.Time
	log       strings.Builder

	mu        sync.Mutex
	delivered []*message.Message
}

func newRoad(t testing.TB, file told, testers ...string) *road {
	t.Helper()
	db := testenv.Postgres(t)
	catalogs := books.NewCatalogs(db)
	catalog, err := economy.CatalogFromJSON(file.Catalog)
	require.NoError(t, err)
	_, err = catalogs.Store(t.Context(), catalog)
	require.NoError(t, err)
	reads, err := postgres.Open(t.Context(), postgres.Config{URL: testenv.PostgresURL(t), MaxConns: 2, Session: postgres.ByKey})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reads.Close()) })
	r := &road{db: db, store: purchases.NewStore(reads), day0: file.Day0}
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r.committer = outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: outbox.Subscriptions{
		events.StoreWebhookReceivedV1: {"access"}, events.StorePurchaseChangedV1: {"access"}, events.StorePurchaseChangedV2: {"access"}, events.StoreCustomerChangedV1: {"access"},
		events.CustomerResyncRequestedV1: {"resync"},
	}})
	t.Cleanup(r.committer.Close)
	r.catchUp = access.CatchUp{Store: r.store, Catalogs: catalogs, Committer: r.committer, Now: func() time.Time { return r.day(400) }, Log: log}
	consumer := access.Consumer{
		Store: r.store, Catalogs: catalogs, Testers: testers, Now: func() time.Time { return r.day(400) },
		Unknown: &access.Unknown{Log: log, Now: func() time.Time { return r.day(400) }},
	}
	r.runner = &consumers.Runner{Consumer: consumer, Committer: r.committer, Log: slog.New(slog.DiscardHandler), Metrics: consumers.NewMetrics(nil)}
	return r
}

func (r *road) day(n float64) time.Time {
	return r.day0.Add(time.Duration(n * 24 * float64(time.Hour)))
}

// receive keeps a webhook as intake does.
func (r *road) receive(t testing.TB, body []byte) {
	t.Helper()
	event, err := webhooks.Parse(body)
	require.NoError(t, err)
	id := outbox.NewID()
	effects := outbox.Effects{
		Guard:  purchases.Received{ID: id, EventKey: event.ID, ReceivedAt: r.day(400), Type: string(event.Type), Verdict: purchases.Accepted, Body: body},
		Intake: true, Owner: event.ID,
	}
	if event.Route() == webhooks.RoutePurchases {
		effects.Events = []events.Event{events.NewStoreWebhookReceived(id, event.AppUserID, r.day(400))}
	}
	_, err = r.committer.Commit(t.Context(), effects)
	require.NoError(t, err)
}

// owed reads what is owed to access.
func (r *road) owed(t testing.TB) []*message.Message {
	t.Helper()
	var rows []struct {
		ID      string `db:"event_id"`
		Payload []byte `db:"payload"`
	}
	require.NoError(t, r.db.Select(&rows, "SELECT event_id, payload FROM outbox WHERE consumer = 'access' ORDER BY event_id"))
	list := make([]*message.Message, len(rows))
	for i, row := range rows {
		list[i] = message.NewMessage(row.ID, row.Payload)
	}
	return list
}

// handle delivers messages by several workers at once.
func (r *road) handle(t testing.TB, list []*message.Message) {
	t.Helper()
	queue := make(chan *message.Message, len(list))
	for _, msg := range list {
		queue <- message.NewMessage(msg.UUID, msg.Payload)
	}
	close(queue)
	var workers sync.WaitGroup
	for range access.Spec.Concurrency {
		workers.Go(func() {
			for msg := range queue {
				_ = r.runner.Handle(msg) // an error has it delivered again: it is still owed
			}
		})
	}
	workers.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivered = append(r.delivered, list...)
}

// drain delivers until nothing is owed any more.
func (r *road) drain(t testing.TB) {
	t.Helper()
	for range 200 {
		list := r.owed(t)
		if len(list) == 0 {
			return
		}
		r.handle(t, list)
	}
	require.FailNow(t, "it does not end")
}

func (r *road) count(t testing.TB, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, r.db.Get(&n, query, args...))
	return n
}

// holds says what a player holds, as the flows say it: "premium 30 (period); chest 2".
func (r *road) holds(t testing.TB, user string) string {
	t.Helper()
	customer, err := r.store.Customer(t.Context(), user)
	require.NoError(t, err)
	var rows []struct {
		Module, State, Cause string
		Ends                 *time.Time
	}
	require.NoError(t, r.db.Select(&rows, `SELECT module, state, cause, expires_at AS ends FROM accesses
		WHERE customer_id = $1 AND cause <> 'gone' ORDER BY module`, customer.ID))
	var parts []string
	for _, a := range rows {
		end := "ever"
		if a.Ends != nil {
			end = strconv.FormatFloat(a.Ends.Sub(r.day0).Hours()/24, 'g', 6, 64)
		}
		if a.State == "revoked" {
			end += " revoked"
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", a.Module, end, a.Cause))
	}
	items, err := r.store.Items(t.Context(), user)
	require.NoError(t, err)
	for _, item := range []string{"chest", "skin", "ticket"} {
		if items[item] != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", item, items[item]))
		}
	}
	return strings.Join(parts, "; ")
}

// renamed returns a body whose players, transactions and id are a world of their own.
func renamed(t testing.TB, body json.RawMessage, world string) []byte {
	t.Helper()
	var whole struct {
		Event map[string]any `json:"event"`
	}
	require.NoError(t, json.Unmarshal(body, &whole))
	for _, field := range []string{"id", "app_user_id", "transaction_id", "original_transaction_id"} {
		if text, ok := whole.Event[field].(string); ok {
			whole.Event[field] = text + world
		}
	}
	for _, field := range []string{"aliases", "transferred_from", "transferred_to"} {
		if list, ok := whole.Event[field].([]any); ok {
			for i := range list {
				list[i] = list[i].(string) + world
			}
		}
	}
	raw, err := json.Marshal(whole)
	require.NoError(t, err)
	return raw
}

// orders returns every order of n things.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range orders(n - 1) {
		for at := range n {
			all = append(all, append(append(append([]int{}, shorter[:at]...), n-1), shorter[at:]...))
		}
	}
	return all
}

// some returns about a share of a list, in any order, now and then one of them twice.
func some[T any](random *rand.Rand, list []T, share float64) []T {
	var out []T
	for _, i := range random.Perm(len(list)) {
		if random.Float64() < share {
			out = append(out, list[i])
		}
		if random.Float64() < share/4 {
			out = append(out, list[i])
		}
	}
	return out
}
