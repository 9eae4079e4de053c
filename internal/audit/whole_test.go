package audit_test

import (
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func whole(t testing.TB, db *sqlx.DB) audit.Report {
	t.Helper()
	report, err := audit.Whole(t.Context(), db, 2, nil)
	require.NoError(t, err)
	return report
}

// byHand runs statements as somebody would who gets past the ledger's own guard.
func byHand(t testing.TB, db *sqlx.DB, statements ...string) {
	t.Helper()
	tx := db.MustBegin()
	tx.MustExec("SET LOCAL session_replication_role = replica")
	for _, statement := range statements {
		result := tx.MustExec(statement)
		n, err := result.RowsAffected()
		require.NoError(t, err)
		require.NotZero(t, n, statement)
	}
	require.NoError(t, tx.Commit())
}

// idOf is the id of the n-th spend that generate wrote.
func idOf(t testing.TB, db *sqlx.DB, n int) string {
	t.Helper()
	var id string
	require.NoError(t, db.Get(&id, "SELECT id FROM spends ORDER BY seq OFFSET $1 LIMIT 1", n-1))
	return id
}

// TestBooksOfMoreThanOnePartBalance: what is audited in parts is all there is, once.
func TestBooksOfMoreThanOnePartBalance(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, audit.PartSpends+1_000)
	db.MustExec(`INSERT INTO adjustments (id, leased_until, opened_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
		VALUES (gen_random_uuid(), now(), now(), gen_random_uuid(), 'ann', 'charge', 'open', 'k', '{"adjustments":{"GEM":-50}}', '', '{"GEM": -50}')`)
	report := whole(t, db)
	require.Len(t, report.Open, 1)
	require.Equal(t, "ann", report.Open[0].AppUserID)
	require.Empty(t, report.Wrong)
	require.EqualValues(t, audit.PartSpends+1_000, report.Spends)
	var lines int64
	require.NoError(t, db.Get(&lines, "SELECT count(*) FROM ledger_entries"))
	require.Equal(t, lines, report.Lines)
	gems := report.Currencies["GEM"]
	require.Len(t, report.Currencies, 1)
	require.Zero(t, gems.Off())
	require.NotZero(t, gems.InFlight)
	require.NotZero(t, gems.Refunded)
	early, late := idOf(t, db, 60), idOf(t, db, audit.PartSpends+60)
	byHand(t, db, with(early, "UPDATE ledger_entries SET amount = amount + 1 WHERE spend_id = {id} AND kind = 'charge'"),
		with(late, "DELETE FROM adjustments WHERE id = (SELECT adjustment_id FROM spends WHERE id = {id})"))
	found := whole(t, db).Wrong
	require.Len(t, found, 2)
	require.Equal(t, []string{early, late}, []string{found[0].Subject, found[1].Subject})
}

// TestALineThatStandsInForAMissingOneIsNoProof: one spend lacks a line and another has
// one too many, of the same kind and amount, so that all sums are right.
func TestALineThatStandsInForAMissingOneIsNoProof(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 400)
	byHand(t, db, "UPDATE ledger_entries SET spend_id = (SELECT id FROM spends WHERE state = 'charged' AND cost = '{\"GEM\": 50}' ORDER BY id LIMIT 1) "+
		"WHERE kind = 'fulfil' AND spend_id = (SELECT id FROM spends WHERE kind = 'spend' AND state = 'fulfilled' AND cost = '{\"GEM\": 50}' ORDER BY id LIMIT 1)")
	report := whole(t, db)
	kinds := map[audit.Kind]int{}
	for _, f := range report.Wrong {
		kinds[f.Kind]++
	}
	require.Equal(t, map[audit.Kind]int{audit.LineMissing: 1, audit.LineExtra: 1}, kinds)
	require.Zero(t, report.Currencies[economy.Currency("GEM")].Off())
}

// TestAnOrphanIsFoundWhereverItsIdLies: lines and items of spends that never were.
func TestAnOrphanIsFoundWhereverItsIdLies(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	for _, id := range []string{"00000000-0000-0000-0000-000000000000", "01980000-0000-7000-8000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"} {
		byHand(t, db, "INSERT INTO ledger_entries VALUES ('"+id+"', 1, now(), 'thief', 'grant', 'GEM', 'issuance', 'wallet')",
			"INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) VALUES ('"+id+"', 1, now(), 'thief', 'sword')")
	}
	report := whole(t, db)
	kinds := map[audit.Kind]int{}
	for _, f := range report.Wrong {
		kinds[f.Kind]++
	}
	require.Equal(t, map[audit.Kind]int{audit.LineOrphan: 3, audit.ItemExtra: 3}, kinds)
}

func with(id, statement string) string {
	return strings.ReplaceAll(statement, "{id}", "'"+id+"'::uuid")
}
