package audit_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// asOfNow writes a spend of the present, as the roles would have left it, and returns
// its id.
func asOfNow(t testing.TB, db *sqlx.DB) string {
	t.Helper()
	var id string
	require.NoError(t, db.Get(&id, `WITH new AS (SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7000' || '8000' || lpad(to_hex((random() * 1e9)::int), 12, '0'))::uuid AS id),
		calls AS (INSERT INTO adjustments (id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
			SELECT id, now(), now(), now(), id, 'ann', 'charge', 'applied', id, '{"adjustments":{"GEM":-10},"reference":"sluice charge ' || id || '"}', '', '{"GEM": -10}' FROM new),
		spend AS (INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost)
			SELECT id, 1, 1, now(), now(), id, id, 'ann', id, 'hat', 'fulfilled', 'charged', '{"GEM": 10}' FROM new)
		INSERT INTO ledger_entries SELECT id, 10, now(), 'ann', kind, 'GEM', debit, credit
			FROM new, (VALUES ('charge', 'wallet', 'in_flight'), ('fulfil', 'in_flight', 'sink')) line (kind, debit, credit) RETURNING spend_id`))
	return id
}

// TestOneGemStolenByHandIsFoundWithinAMinute: in what changed lately at the next look,
// wherever the change was made; in old history by the slow pass. A finding stays until it is
// mended, is told once, and the metric shows it.
func TestOneGemStolenByHandIsFoundWithinAMinute(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 2_000)
	var log bytes.Buffer
	w := &audit.Watcher{DB: db, Log: slog.New(slog.NewTextHandler(&log, nil)), Part: 300}
	look := func() []audit.Finding {
		t.Helper()
		log.Reset()
		wrong, err := w.Look(t.Context())
		require.NoError(t, err)
		return wrong
	}
	require.Empty(t, look())
	for _, sql := range []string{
		"UPDATE ledger_entries SET amount = amount - 1 WHERE spend_id = {id} AND kind = 'charge'",
		"DELETE FROM ledger_entries WHERE spend_id = {id} AND kind = 'fulfil'",
		"INSERT INTO ledger_entries SELECT spend_id, 1, now(), app_user_id, kind, 'GOLD', debit, credit FROM ledger_entries WHERE spend_id = {id} AND kind = 'charge'",
	} {
		id := asOfNow(t, db)
		byHand(t, db, with(id, sql))
		wrong := look()
		require.Len(t, wrong, 1, sql)
		require.Equal(t, id, wrong[0].Subject)
		require.Contains(t, log.String(), "a book does not balance")
		require.Contains(t, log.String(), id)
		require.NotContains(t, log.String(), "ann", "the log names no player")
		require.Equal(t, wrong, look(), "still wrong")
		require.NotContains(t, log.String(), "does not balance", "told once")
		require.Equal(t, 1, open(t, db))
		byHand(t, db, with(id, "DELETE FROM ledger_entries WHERE spend_id = {id}"), with(id, "DELETE FROM spends WHERE id = {id}"), with(id, "DELETE FROM adjustments WHERE id = {id}"))
		require.Empty(t, look())
		require.Contains(t, log.String(), "balances again")
	}
	// An old spend gets a line today: its line is new.
	old := idOf(t, db, 60)
	byHand(t, db, with(old, "INSERT INTO ledger_entries SELECT spend_id, amount, now(), app_user_id, 'refund', currency, 'in_flight', 'wallet' FROM ledger_entries WHERE spend_id = {id} AND kind = 'charge'"))
	wrong := look()
	require.Len(t, wrong, 1)
	require.Equal(t, audit.LineExtra, wrong[0].Kind)
	byHand(t, db, with(old, "DELETE FROM ledger_entries WHERE spend_id = {id} AND kind = 'refund'"))
	require.Empty(t, look())
	// An old line is gone: nothing new tells of it, the slow pass does.
	byHand(t, db, with(old, "DELETE FROM ledger_entries WHERE spend_id = {id} AND kind = 'fulfil'"))
	looks := 0
	for wrong = look(); len(wrong) == 0; wrong = look() {
		looks++
		require.Less(t, looks, 2_000/300+2)
	}
	require.Equal(t, old, wrong[0].Subject)
	kept, err := audit.Findings(t.Context(), db, 10)
	require.NoError(t, err)
	require.Equal(t, wrong, kept)
}

// open counts the findings that are kept and not mended.
func open(t testing.TB, db *sqlx.DB) (count int) {
	t.Helper()
	require.NoError(t, db.Get(&count, "SELECT count(*) FROM audit_findings WHERE mended_at IS NULL"))
	return count
}

// TestALineCommittedLateIsLookedAt: a line that was decided before the last look and
// committed after it, of an old spend.
func TestALineCommittedLateIsLookedAt(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 400)
	w := &audit.Watcher{DB: db, Log: slog.New(slog.DiscardHandler), Part: 1}
	late := db.MustBegin()
	late.MustExec("SET LOCAL session_replication_role = replica")
	late.MustExec(with(idOf(t, db, 60), "INSERT INTO ledger_entries SELECT spend_id, 1, now(), app_user_id, kind, 'GOLD', debit, credit FROM ledger_entries WHERE spend_id = {id} AND kind = 'charge'"))
	wrong, err := w.Look(t.Context())
	require.NoError(t, err)
	require.Empty(t, wrong)
	var position, began float64
	require.NoError(t, db.QueryRow("SELECT extract(epoch FROM audited_at) FROM audit_positions").Scan(&position))
	require.NoError(t, late.QueryRow("SELECT extract(epoch FROM now())").Scan(&began))
	require.LessOrEqual(t, position, began, "nothing that began later counts as audited")
	require.NoError(t, late.Commit())
	wrong, err = w.Look(t.Context())
	require.NoError(t, err)
	require.Len(t, wrong, 1)
}

// TestOnlyOneProcessAudits: whoever comes second does nothing.
func TestOnlyOneProcessAudits(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 40)
	byHand(t, db, "DELETE FROM ledger_entries WHERE kind = 'fulfil'")
	other := db.MustBegin()
	other.MustExec("SELECT pg_advisory_xact_lock(x'6175646974'::bigint)")
	w := &audit.Watcher{DB: db, Log: slog.New(slog.DiscardHandler)}
	wrong, err := w.Look(t.Context())
	require.NoError(t, err)
	require.Empty(t, wrong)
	require.NoError(t, other.Rollback())
	wrong, err = w.Look(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, wrong)
}

// TestAPlayersPageTellsEveryMovement: of spends, the provider and corrections, in
// order, with a running balance, over all ids of the customer.
func TestAPlayersPageTellsEveryMovement(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 40)
	db.MustExec(`INSERT INTO provider_movements (amount, moved_at, entered_at, movement_id, app_user_id, kind, currency, debit, credit, environment, source, store, product_id, transaction_id)
		VALUES (1000, '2025-12-31', now(), 'm1', 'alias', 'store_credit', 'GEM', 'store', 'wallet', 'production', 'in_app_purchase', 'app_store', 'gems_1000', 't1')`)
	db.MustExec(`INSERT INTO ledger_corrections VALUES (gen_random_uuid(), 3, 0, 3, now(), now(), 'player1', 'correction_credit', 'GEM', 'drift', 'wallet', 'op@host', 'ticket 7')`)
	db.MustExec(`INSERT INTO balances VALUES (812, now(), 'player1', 'GEM')`)
	page, err := audit.Player(t.Context(), db, []string{"alias", "player1"})
	require.NoError(t, err)
	require.Empty(t, page.Wrong)
	require.Len(t, page.Lines, 1+10*2+1)
	first, last := page.Lines[0], page.Lines[len(page.Lines)-1]
	require.Equal(t, "in_app_purchase app_store gems_1000 t1", first.Cause)
	require.EqualValues(t, 1000, first.Balance)
	require.Equal(t, "corrected by op@host: ticket 7", last.Cause)
	held := page.Held[0]
	require.Equal(t, last.Balance, held.Books)
	require.Equal(t, 1000-held.Charged+3, held.Books)
	require.EqualValues(t, 812, *held.Provider)
	require.Zero(t, held.Off())
}
