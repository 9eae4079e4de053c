package retention

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// Bodies go first, then rows, and keys a year old when their rows are gone; what a
// delivery still needs stays until it is done. Months are too young here to go whole.
func TestWebhooksGoByAgeAndWhatIsOwedStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Policy{WebhookBodies: 30 * day, Webhooks: 100 * day})
	start := w.now.Add(day)
	const many = chunk + 7
	for range many {
		w.webhook(t, start, false)
	}
	owed, dead := w.webhook(t, start, true), w.webhook(t, start, true)
	w.exec(t, `WITH o AS (DELETE FROM outbox WHERE event_id = $1 || '.received' RETURNING *)
		INSERT INTO dead_letters (event_id, consumer, lane, subject, payload, attempts, error) SELECT event_id, consumer, lane, subject, '', 1, 'x' FROM o`, dead)
	w.webhook(t, start.Add(20*day), false)
	const all = many + 3
	left := func() []int {
		t.Helper()
		w.sweeps(t)
		require.NotContains(t, w.plans(t), Deleted)
		require.Regexp(t, `^$|held by what is open`, w.sweeps(t), "the second finds nothing to do")
		return []int{
			w.count(t, "SELECT count(*) FROM webhook_events WHERE body IS NOT NULL"), w.count(t, "SELECT count(*) FROM webhook_events"),
			w.count(t, "SELECT count(*) FROM webhook_keys"),
		}
	}
	w.now = start.Add(30 * day)
	require.Equal(t, []int{all, all, all}, left(), "a day of grace would be one too many: nothing is older yet")
	w.now = start.Add(30*day + time.Microsecond)
	require.Contains(t, w.plans(t), "webhook_events  bodies cleared 507")
	require.Equal(t, []int{3, all, all}, left())
	w.now = start.Add(101 * day)
	require.Contains(t, w.plans(t), "webhook_events  rows deleted 507")
	require.Equal(t, []int{2, 3, all}, left(), "what is owed, what an operator may replay, and the later one's row")
	w.exec(t, "DELETE FROM outbox WHERE event_id = $1 || '.received'", owed)
	w.exec(t, "UPDATE dead_letters SET resolved_at = now()")
	w.Policy.Webhooks = 0
	require.Equal(t, []int{0, 3, all}, left(), "0 is never")
	w.now, w.Policy.Webhooks = start.Add(367*day), 100*day
	require.Equal(t, []int{0, 0, 1}, left(), "keys go when they are a year old; the later one's is younger")
}

// A month goes whole once all of it is old enough, and nothing open needs it.
func TestAMonthIsDroppedWholeUnlessSomethingOpenHoldsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Policy{Webhooks: 90 * day, PurchaseVersions: 90 * day})
	first := w.now
	w.sweeps(t)
	owed, dead := w.webhook(t, first.Add(day), true), w.webhook(t, first.AddDate(0, 1, 1), true)
	for month := range 3 {
		w.webhook(t, first.AddDate(0, month, 2), false)
	}
	w.exec(t, `WITH o AS (DELETE FROM outbox WHERE event_id = $1 || '.received' RETURNING *)
		INSERT INTO dead_letters (event_id, consumer, lane, subject, payload, attempts, error) SELECT event_id, consumer, lane, subject, '', 1, 'x' FROM o`, dead)
	w.said(t, "claimed", first.Add(day))
	w.said(t, "changed", first.AddDate(0, 1, 1))
	w.said(t, "gone", first.AddDate(0, 2, 1))
	w.exec(t, "DELETE FROM outbox WHERE event_id LIKE '%.changed' AND payload->'data'->>'transaction_id' <> 'changed'")
	one := events.NewStorePurchasesChanged("some", events.Bulk, economy.AppStore, economy.Production, []events.Version{{TransactionID: "another", Version: 1}, {TransactionID: "changed", Version: 1}}, false, "ann", first)
	raw, err := one.Encode()
	require.NoError(t, err)
	w.exec(t, "UPDATE outbox SET payload = $1 WHERE payload->'data'->>'transaction_id' = 'changed'", string(raw)) // as a backfill tells of many
	w.exec(t, `INSERT INTO dead_letters (event_id, consumer, lane, subject, payload, attempts, error, resolved_at)
		SELECT event_id, 'set aside', lane, subject, convert_to(payload::text, 'UTF8'), 1, 'x', NULL FROM outbox WHERE event_id LIKE '%.changed'`)
	for _, pin := range versionPins[1:] {
		require.Equal(t, 1, w.count(t, strings.NewReplacer("$1", "'-infinity'", "$2", "'infinity'").Replace(pin.query)), pin.what)
	}
	w.exec(t, "DELETE FROM dead_letters WHERE consumer = 'set aside'")
	claim := economy.Claim{ID: outbox.NewID(), AppUserID: "ann", Store: economy.AppStore, TransactionID: "claimed", ProductID: "p", ClaimedAt: first}
	w.commit(t, outbox.Effects{Guard: purchases.Claimed{Claim: claim}})
	name := func(table string, month int) string { return table + first.AddDate(0, month, 0).Format("_2006_01") }

	w.now = first.AddDate(0, 3, 0).Add(90*day - time.Second)
	plan := w.plans(t)
	for _, want := range []string{
		"webhook_events webhook_events_before dropped 0", "webhook_events " + name("webhook_events", 0) + " held by what is open 2 1 deliveries owed",
		"webhook_events " + name("webhook_events", 1) + " held by what is open 2 1 open dead letters",
		"purchase_versions purchase_versions_before dropped 0", "purchase_versions " + name("purchase_versions", 0) + " held by what is open 1 1 pending claims",
		"purchase_versions " + name("purchase_versions", 1) + " held by what is open 1 1 deliveries owed", "webhook_events  rows deleted 3",
	} {
		require.Contains(t, plan, want)
	}
	require.NotContains(t, plan, name("webhook_events", 2), "a second of it is too young")
	require.Equal(t, plan, strings.ReplaceAll(w.sweeps(t), "; purchase_versions_rest", ""), "what the plan said is what was done")
	require.Equal(t, 2, w.count(t, "SELECT count(*) FROM webhook_events"), "the old ones that nothing holds went one by one")
	require.Equal(t, 3, w.count(t, "SELECT count(*) FROM purchase_versions"))

	w.now = w.now.Add(time.Second)
	w.exec(t, "UPDATE dead_letters SET resolved_at = now()")
	w.exec(t, "DELETE FROM outbox WHERE event_id = $1 || '.received'", owed)
	w.sweeps(t)
	require.Zero(t, w.count(t, "SELECT count(*) FROM webhook_events"))
	require.Equal(t, 2, w.count(t, "SELECT count(*) FROM purchase_versions"), "claimed and changed")
	w.exec(t, "DELETE FROM outbox")
	w.exec(t, "UPDATE claims SET state = 'confirmed', settled_at = now()")
	w.sweeps(t)
	require.Zero(t, w.count(t, "SELECT count(*) FROM purchase_versions"))
	require.Equal(t, 3, w.count(t, "SELECT count(*) FROM purchases"), "what they came to stays")
	require.Empty(t, w.sweeps(t))

	// What comes for a month that is gone, or before its month has a partition, is kept and goes by age, too.
	w.said(t, "late", first.Add(day))
	w.said(t, "early", w.now.AddDate(0, 5, 0))
	require.NotContains(t, w.plans(t), "purchase_versions_rest", "deliveries about them are owed")
	w.exec(t, `WITH o AS (DELETE FROM outbox WHERE event_id LIKE '%.changed' RETURNING *) INSERT INTO dead_letters (event_id, consumer, lane, subject, payload, attempts, error)
		SELECT event_id, consumer, lane, subject, convert_to(payload::text, 'UTF8'), 1, 'x' FROM o`)
	require.NotContains(t, w.plans(t), "purchase_versions_rest", "an operator may replay them")
	w.exec(t, "UPDATE dead_letters SET resolved_at = now(), resolution = 'x' WHERE resolved_at IS NULL")
	require.Contains(t, w.plans(t), "purchase_versions_rest  rows deleted 1")
	require.Contains(t, w.sweeps(t), "purchase_versions_rest  rows deleted 1")
	w.now = w.now.AddDate(0, 4, 0)
	done, err := w.Sweep(t.Context())
	require.NoError(t, err)
	moved := int64(0)
	for _, d := range done {
		if d.What == Made {
			moved += d.Rows
		}
	}
	require.Equal(t, int64(1), moved, "it moves to its month")
	require.Zero(t, w.count(t, "SELECT count(*) FROM purchase_versions_rest"))
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM purchase_versions"))
}

// Months are there before they begin, by default nothing goes, and several processes at
// once are one.
func TestMonthsAreMadeAheadAndByDefaultNothingGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Policy{})
	w.webhook(t, w.now.AddDate(-5, 0, 0), false)
	w.said(t, "t", w.now.AddDate(-5, 0, 0))
	w.webhook(t, w.now.Add(day), false) // before its month was made
	failed := make(chan error, 4)
	for range cap(failed) {
		go func() { _, err := w.Sweep(t.Context()); failed <- err }()
	}
	for range cap(failed) {
		require.NoError(t, <-failed)
	}
	require.Empty(t, w.sweeps(t))
	for _, table := range []string{"webhook_events", "purchase_versions"} {
		require.Equal(t, 2+monthsAhead+1, w.count(t, "SELECT count(*) FROM pg_inherits WHERE inhparent = '"+table+"'::regclass"))
		require.Zero(t, w.count(t, "SELECT count(*) FROM "+table+"_rest"))
	}
	require.Equal(t, 2, w.count(t, "SELECT count(*) FROM webhook_events"))
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM purchase_versions"))
	indexes := w.count(t, "SELECT count(*) FROM pg_indexes WHERE tablename = 'webhook_events_before'")
	require.Equal(t, indexes, w.count(t, "SELECT count(*) FROM pg_indexes WHERE tablename = 'webhook_events"+w.now.Format("_2006_01")+"'"))
	id := w.webhook(t, w.now.Add(2*day), false)
	body, err := w.Store.Webhook(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "{}", string(body))
}

// The books do not age: spends, open ones or done, and every line of the ledger are
// there when all else is gone, and prove what they proved before.
func TestARetainedDatabasePassesTheAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Policy{WebhookBodies: 10 * day, Webhooks: 10 * day, PurchaseVersions: 10 * day})
	old := w.now.AddDate(-2, 0, 0)
	w.webhook(t, old, false)
	w.said(t, "t1", old)
	w.exec(t, "DELETE FROM outbox")
	w.commit(t, outbox.Effects{Guard: purchases.Received{ID: uuidOf(old.Add(time.Hour)), EventKey: "moved", ReceivedAt: old, Verdict: purchases.Accepted}, Rows: purchases.Movements(economy.Movement{
		ID: "vatx_1", AppUserID: "ann", Environment: economy.Production, Source: economy.PurchaseSource, Store: economy.AppStore, Adjustments: economy.Amounts{"GEM": 100}, At: old,
	}, old)})
	const spend = "01980000-0000-7000-8000-000000000001"
	_, err := books.NewCatalogs(w.DB).Store(t.Context(), economy.Catalog{Items: map[string]economy.Item{
		"sword": {ID: "sword", Price: economy.Amounts{"GEM": 50}, QuantityMin: 1, QuantityMax: 1, HandOver: economy.HandOver{Port: economy.HandOverInventory}},
	}})
	require.NoError(t, err)
	w.exec(t, `INSERT INTO adjustments (id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
		VALUES ($1, $2, $2, $2, $1, 'ann', 'charge', 'applied', 'k', '{"adjustments":{"GEM":-50}}', '', '{"GEM": -50}')`, spend, old)
	w.exec(t, `INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost, kind)
		VALUES ($1, 1, 1, $2, $2, $1, $1, 'ann', 'k', 'sword', 'fulfilled', 'charged', '{"GEM": 50}', 'spend')`, spend, old)
	w.exec(t, `INSERT INTO ledger_entries (spend_id, amount, entered_at, app_user_id, kind, currency, debit, credit)
		VALUES ($1, 50, $2, 'ann', 'charge', 'GEM', 'wallet', 'in_flight'), ($1, 50, $2, 'ann', 'fulfil', 'GEM', 'in_flight', 'sink')`, spend, old)
	w.exec(t, `INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) VALUES ($1, 1, $2, 'ann', 'sword')`, spend, old)
	proved := func() audit.Sums {
		t.Helper()
		report, err := audit.Whole(t.Context(), w.DB, 1, nil)
		require.NoError(t, err)
		require.Empty(t, report.Wrong)
		require.Equal(t, int64(1), report.Moved)
		return report.Sums
	}
	before := proved()
	require.NotZero(t, before)
	w.now = w.now.AddDate(1, 0, 0)
	require.Contains(t, w.sweeps(t), "webhook_events_before dropped")
	require.Zero(t, w.count(t, "SELECT count(*) FROM webhook_events"))
	require.Zero(t, w.count(t, "SELECT count(*) FROM purchase_versions"))
	require.Equal(t, before, proved())
	require.Equal(t, 3, w.count(t, "SELECT count(*) FROM ledger"))
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM purchases"))
}

// Whoever reads for long is left in peace, and everybody else with them: months are
// made, and go, the next time.
func TestATableThatIsInUseIsLeftForTheNextTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Policy{Webhooks: day})
	w.webhook(t, w.now.Add(-2*day), false)
	w.now = w.now.AddDate(0, 1, 0)
	tx, err := w.DB.Beginx()
	require.NoError(t, err)
	_, err = tx.Exec("SELECT count(*) FROM webhook_events")
	require.NoError(t, err)
	busy := w.sweeps(t)
	require.Contains(t, busy, "webhook_events  busy")
	require.Contains(t, busy, "webhook_events webhook_events_before busy")
	require.NoError(t, tx.Rollback())
	require.Contains(t, w.sweeps(t), "webhook_events webhook_events_before dropped")
}
