package retention

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const day = 24 * time.Hour

// world is a database whose clock the test turns.
type world struct {
	*Retention
	committer *outbox.Committer
	now       time.Time
	n         int
}

func newWorld(t testing.TB, policy Policy) *world {
	t.Helper()
	db := testenv.Postgres(t)
	w := &world{}
	w.Retention = &Retention{DB: db, Store: purchases.NewStore(db), Policy: policy, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler)}
	w.committer = outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: outbox.Subscriptions{
		events.StoreWebhookReceivedV1: {"access"}, events.StorePurchaseChangedV1: {"access"}, events.StorePurchaseChangedV2: {"access"}, events.StoreCustomerChangedV1: {"access"},
	}})
	t.Cleanup(w.committer.Close)
	var first time.Time // what the migration found is a partition up to the next month
	require.NoError(t, db.Get(&first, "SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'"))
	w.now = first.UTC()
	return w
}

// webhook keeps a webhook that came at a moment, and returns its id.
func (w *world) webhook(t *testing.T, at time.Time, owed bool) string {
	t.Helper()
	w.n++
	id := uuidOf(at)[:24] + fmt.Sprintf("%012x", w.n)
	effects := outbox.Effects{Guard: purchases.Received{
		ID: id, EventKey: fmt.Sprint("event-", w.n), ReceivedAt: at, Verdict: purchases.Accepted, Body: []byte("{}"),
	}}
	if owed {
		effects.Events = []events.Event{events.NewStoreWebhookReceived(id, "ann", at)}
	}
	w.commit(t, effects)
	return id
}

// said records what a source said of a purchase at a moment; the fold is owed.
func (w *world) said(t *testing.T, transaction string, at time.Time) {
	t.Helper()
	effects, err := w.Store.Merge(t.Context(), economy.PurchaseFact{
		Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: transaction},
		Source: economy.FromExport, Kind: economy.FactSnapshot, At: at, By: "export", AppUserID: "ann", PurchasedAt: at,
	}, events.Bulk, at)
	require.NoError(t, err)
	w.commit(t, effects)
}

func (w *world) commit(t *testing.T, effects outbox.Effects) {
	t.Helper()
	result, err := w.committer.Commit(t.Context(), effects)
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
}

func (w *world) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	_, err := w.DB.Exec(query, args...)
	require.NoError(t, err)
}

func (w *world) count(t testing.TB, query string) int {
	t.Helper()
	var n int
	require.NoError(t, w.DB.Get(&n, query))
	return n
}

// sweeps says what a sweep did: "webhook_events_2026_12 dropped 3; ...".
func (w *world) sweeps(t *testing.T) string { t.Helper(); return told(t, w.Sweep) }

// plans says what a sweep would do.
func (w *world) plans(t *testing.T) string { t.Helper(); return told(t, w.Plan) }

func told(t *testing.T, do func(context.Context) ([]Done, error)) string {
	t.Helper()
	done, err := do(t.Context())
	require.NoError(t, err)
	var parts []string
	for _, d := range done {
		if d.What != Made {
			parts = append(parts, strings.TrimSpace(strings.Join([]string{d.Table, d.Partition, d.What, fmt.Sprint(d.Rows), strings.Join(d.Open, ", ")}, " ")))
		}
	}
	return strings.Join(parts, "; ")
}
