package mirror

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// hall is the consumer on a road of its own: real committer, runner and tables. The
// outbox is read in place of a broker.
type hall struct {
	db        *sqlx.DB
	committer *outbox.Committer
	consumer  Consumer
	runner    *consumers.Runner
	sent      []*message.Message
}

func newHall(t *testing.T) *hall {
	t.Helper()
	db := testenv.Postgres(t)
	h := &hall{db: db, consumer: Consumer{
		Store: purchases.NewStore(db), Twins: adjustments.Store{DB: db}, Metrics: NewMetrics(nil), Now: func() time.Time { return noon },
	}}
	h.committer = outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: outbox.Subscriptions{events.StoreCurrencyMovedV1: {"mirror"}}})
	t.Cleanup(h.committer.Close)
	h.runner = &consumers.Runner{Consumer: h.consumer, Committer: h.committer, Log: slog.New(slog.DiscardHandler), Metrics: consumers.NewMetrics(nil)}
	return h
}

// moved receives a webhook about a movement and returns the delivery owed for it.
func (h *hall) moved(t *testing.T, id string, at time.Time, adjustments string, fields map[string]any) *message.Message {
	t.Helper()
	event := map[string]any{
		"id": "e-" + id, "type": "VIRTUAL_CURRENCY_TRANSACTION", "event_timestamp_ms": at.UnixMilli(), "app_user_id": "ann", "source": "admin_api",
		"virtual_currency_transaction_id": id, "purchase_environment": "PRODUCTION", "adjustments": json.RawMessage(adjustments),
	}
	for name, value := range fields {
		event[name] = value
	}
	body, err := json.Marshal(map[string]any{"event": event})
	require.NoError(t, err)
	parsed, err := webhooks.Parse(body)
	require.NoError(t, err)
	require.Equal(t, webhooks.RouteCurrency, parsed.Route())
	received := purchases.Received{ID: outbox.NewID(), EventKey: outbox.NewID(), ReceivedAt: noon, Verdict: purchases.Accepted, Body: body}
	moved := events.NewStoreCurrencyMoved(received.ID, parsed.AppUserID, noon)
	_, err = h.committer.Commit(t.Context(), outbox.Effects{Guard: received, Events: []events.Event{moved}})
	require.NoError(t, err)
	payload, err := moved.Encode()
	require.NoError(t, err)
	msg := message.NewMessage(moved.ID, payload)
	h.sent = append(h.sent, msg)
	return msg
}

// deliver delivers everything so far, each three times.
func (h *hall) deliver(t *testing.T) {
	t.Helper()
	for range 3 {
		for _, msg := range h.sent {
			require.NoError(t, h.runner.Handle(message.NewMessage(msg.UUID, msg.Payload)))
		}
	}
}

// ledger lists the lines of the whole ledger: "vatx1 GEM 100 store>wallet".
func (h *hall) ledger(t *testing.T) []string {
	t.Helper()
	var lines []string
	require.NoError(t, h.db.Select(&lines, `SELECT cause_id || ' ' || currency || ' ' || amount || ' ' || debit || '>' || credit FROM ledger ORDER BY 1`))
	return lines
}

const gems100 = `[{"amount":100,"currency":{"code":"GEM"}}]`

func TestEveryMovementIsInTheLedgerOnceHoweverOftenItIsTold(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	bought := map[string]any{"source": "in_app_purchase", "store": "APP_STORE", "product_id": "gems", "transaction_id": "t1"}
	several := `[{"amount":100,"currency":{"code":"GEM"}},{"amount":20,"currency":{"code":"GOLD"}},{"amount":5,"currency":{"code":"GEM"}},{"amount":0,"currency":{"code":"NIL"}}]`
	h.moved(t, "v1", noon, several, bought)
	h.moved(t, "v1", noon, several, bought) // under another event
	h.moved(t, "v2", noon, `[{"amount":-105,"currency":{"code":"GEM"}}]`, bought)
	h.moved(t, "v3", noon, gems100, nil)
	h.moved(t, "v4", noon, `[{"amount":-7,"currency":{"code":"GEM"}}]`, nil)
	h.deliver(t)
	require.Equal(t, []string{
		"v1 GEM 105 store>wallet", "v1 GOLD 20 store>wallet", "v2 GEM 105 wallet>store", "v3 GEM 100 issuance>wallet", "v4 GEM 7 wallet>issuance",
	}, h.ledger(t))
	var owed int
	require.NoError(t, h.db.Get(&owed, "SELECT count(*) FROM outbox"))
	require.Zero(t, owed)
}

func TestTheSandboxIsCountedApart(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.moved(t, "v1", noon, gems100, map[string]any{"purchase_environment": "SANDBOX", "source": "in_app_purchase"})
	h.moved(t, "v2", noon, gems100, map[string]any{"source": "in_app_purchase"})
	h.deliver(t)
	var sums []string
	require.NoError(t, h.db.Select(&sums, "SELECT environment || ' ' || sum(amount) FROM provider_movements GROUP BY environment ORDER BY 1"))
	require.Equal(t, []string{"production 100", "sandbox 100"}, sums)
	for _, environment := range []string{"production", "sandbox"} {
		require.Equal(t, 300, valueOf(t, h.consumer.Metrics.units.WithLabelValues("GEM", "store_credit", environment)), "told three times")
	}
}

// adjustment writes down an adjustment of ours.
func (h *hall) adjustment(t *testing.T, player, state, deltas string, opened time.Time) {
	t.Helper()
	var settled, unknown any
	if state == "applied" {
		settled = opened.Add(2 * time.Second)
	}
	if state == "unknown" {
		unknown = opened
	}
	id := outbox.NewID()
	_, err := h.db.Exec(`INSERT INTO adjustments (id, leased_until, opened_at, settled_at, unknown_since, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
		VALUES ($1, $2, $2, $3, $4, $1, $5, 'charge', $6, $8, '', '', $7)`, id, opened, settled, unknown, player, state, deltas, "key of "+id)
	require.NoError(t, err)
}

// The provider documents that our own calls send no event. Should one come after
// all, it moves nothing: the spend's own lines are in the ledger already.
func TestOurOwnAdjustmentsAreNotBookedTwice(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	taken := `[{"amount":-50,"currency":{"code":"GEM"}}]`
	h.adjustment(t, "ann", "applied", `{"GEM": -50}`, noon)
	require.NoError(t, h.link(t, "ann", "$RCAnonymousID:1"))
	h.moved(t, "v1", noon.Add(time.Second), taken, map[string]any{"app_user_id": "$RCAnonymousID:1"}) // by whichever id
	h.deliver(t)
	h.moved(t, "v2", noon.Add(time.Second), taken, nil)                                          // that adjustment is told already
	h.moved(t, "v3", noon, taken, map[string]any{"app_user_id": "bob"})                          // not bob's
	h.moved(t, "v4", noon, `[{"amount":-51,"currency":{"code":"GEM"}}]`, nil)                    // not that sum
	h.moved(t, "v5", noon.Add(time.Hour), taken, nil)                                            // not then
	h.moved(t, "v6", noon, taken, map[string]any{"source": "in_app_purchase", "store": "STORE"}) // a store's doing
	h.deliver(t)
	require.Equal(t, []string{
		"v1 GEM 50 wallet>wallet", "v2 GEM 50 wallet>issuance", "v3 GEM 50 wallet>issuance", "v4 GEM 51 wallet>issuance",
		"v5 GEM 50 wallet>issuance", "v6 GEM 50 wallet>store",
	}, h.ledger(t))
}

// While the outcome of such an adjustment is open, nobody knows: it is asked again.
func TestAMovementLikeAnOpenAdjustmentWaitsForItsOutcome(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"open", "unknown"} {
		h := newHall(t)
		h.adjustment(t, "ann", state, `{"GEM": 100}`, noon)
		msg := h.moved(t, "v1", noon, gems100, nil)
		require.ErrorIs(t, h.runner.Handle(msg), adjustments.ErrTwinOpen)
		_, err := h.db.Exec("UPDATE adjustments SET state = 'refused', settled_at = opened_at, unknown_since = NULL")
		require.NoError(t, err)
		h.deliver(t)
		require.Equal(t, []string{"v1 GEM 100 issuance>wallet"}, h.ledger(t))
	}
}

func (h *hall) link(t *testing.T, ids ...string) error {
	t.Helper()
	id := outbox.NewID()
	_, err := h.committer.Commit(t.Context(), outbox.Effects{
		Guard: purchases.Received{ID: id, EventKey: id, ReceivedAt: noon, Verdict: purchases.Accepted}, Rows: purchases.Aliases(ids, "test", noon),
	})
	return err
}

func TestAMovementThatCannotBeReadIsSetAside(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.moved(t, "", noon, gems100, nil)
	h.moved(t, "v2", noon, `[{"amount":1}]`, nil)
	h.moved(t, "v3", noon, gems100, nil)
	_, err := h.db.Exec("UPDATE webhook_events SET body = NULL WHERE encode(body, 'escape') LIKE '%v3%'")
	require.NoError(t, err)
	h.deliver(t)
	var dead int
	require.NoError(t, h.db.Get(&dead, "SELECT count(*) FROM dead_letters WHERE consumer = 'mirror'"))
	require.Equal(t, 3, dead, fmt.Sprint(h.ledger(t)))
	require.Empty(t, h.ledger(t))
}

// valueOf reads a counter.
func valueOf(t *testing.T, counter prometheus.Counter) int {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(counter)
	families, err := registry.Gather()
	require.NoError(t, err)
	return int(families[0].GetMetric()[0].GetCounter().GetValue())
}
