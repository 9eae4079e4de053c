package audit_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

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

// theft is a change by hand, and what an audit must say of it.
type theft struct {
	name  string
	nth   int // spend
	sql   []string
	kind  audit.Kind
	line  string
	units int64
	off   int64 // the player's charged less fulfilled, refunded and in flight
}

var thefts = []theft{
	{"a gem less charged", 20, []string{"UPDATE ledger_entries SET amount = amount - 1 WHERE spend_id = {id} AND kind = 'charge'"}, audit.LineAmount, "charge", -1, -1},
	{"a gem more refunded", 41, []string{"UPDATE ledger_entries SET amount = amount + 1 WHERE spend_id = {id} AND kind = 'refund'"}, audit.LineAmount, "refund", 1, -1},
	{"a charge deleted", 60, []string{"DELETE FROM ledger_entries WHERE spend_id = {id} AND kind = 'charge'"}, audit.LineMissing, "charge", -10, -10},
	{"a hand-over deleted", 60, []string{"DELETE FROM ledger_entries WHERE spend_id = {id} AND kind = 'fulfil'"}, audit.LineMissing, "fulfil", -10, 10},
	{"a refund made up", 60, []string{"INSERT INTO ledger_entries SELECT spend_id, amount, entered_at, app_user_id, 'refund', currency, 'in_flight', 'wallet' FROM ledger_entries WHERE spend_id = {id} AND kind = 'charge'"}, audit.LineExtra, "refund", 10, -10},
	{"a currency made up", 60, []string{"INSERT INTO ledger_entries SELECT spend_id, 1, entered_at, app_user_id, kind, 'GOLD', debit, credit FROM ledger_entries WHERE spend_id = {id} AND kind = 'charge'"}, audit.LineExtra, "charge", 1, 1},
	{"a line moved to another player", 60, []string{"UPDATE ledger_entries SET app_user_id = 'thief' WHERE spend_id = {id} AND kind = 'charge'"}, audit.LinePlayer, "charge", 0, 0},
	{"a state set back", 60, []string{"UPDATE spends SET state = 'declined', left_state = 'requested' WHERE id = {id}"}, audit.LineExtra, "charge", 10, 0},
	{"a call that was not applied", 60, []string{"UPDATE adjustments SET state = 'refused' WHERE id = (SELECT adjustment_id FROM spends WHERE id = {id})"}, audit.NotApplied, "adjustment", 0, 0},
	{"a cost and its lines", 60, []string{
		`UPDATE spends SET cost = '{"GEM": 9}' WHERE id = {id}`, "UPDATE ledger_entries SET amount = 9 WHERE spend_id = {id}",
	}, audit.NotBound, "adjustment", -1, 0},
	{"an item taken", 60 + 4, []string{"DELETE FROM inventory_grants WHERE spend_id = {id}"}, audit.ItemMissing, "sword", -1, 0},
	{"an item doubled", 60 + 4, []string{"UPDATE inventory_grants SET quantity = 2 WHERE spend_id = {id}"}, audit.ItemExtra, "sword", 1, 0},
}

// TestBooksOfMoreThanOnePartBalance: what is audited in parts is all there is, once.
func TestBooksOfMoreThanOnePartBalance(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, audit.PartSpends+1_000)
	report := whole(t, db)
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
}

// TestOneGemStolenByHandIsFoundAndNamed: whatever is changed by hand, past every guard
// of the database, the audit names the spend, the line and by how much, and nothing else.
func TestOneGemStolenByHandIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	generate(t, db, 2_000)
	require.Empty(t, whole(t, db).Wrong)
	for _, theft := range thefts {
		id := idOf(t, db, theft.nth)
		require.NoError(t, theft.do(t, db, id))
		report := whole(t, db)
		require.NotEmpty(t, report.Wrong, theft.name)
		found := audit.Finding{}
		for _, f := range report.Wrong {
			if f.Kind == theft.kind && f.Line == theft.line {
				found = f
			}
			if f.Kind != audit.NotBound { // the call's id, not the spend's
				require.Equal(t, id, f.Subject, theft.name)
			}
		}
		require.Equal(t, theft.units, found.Units, "%s: %+v", theft.name, report.Wrong)
		require.Contains(t, found.AppUserID, "player", theft.name)
		off := int64(0)
		for _, p := range report.Players {
			if p.AppUserID != "thief" {
				off += p.Off()
			}
		}
		if theft.name != "a line moved to another player" {
			require.Equal(t, theft.off, off, "%s: %+v", theft.name, report.Players)
		}
		restore(t, db)
		require.Empty(t, whole(t, db).Wrong, "%s: not as it was", theft.name)
	}
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

func (s theft) do(t testing.TB, db *sqlx.DB, id string) error {
	t.Helper()
	byHand(t, db, "DROP TABLE IF EXISTS before_spends, before_lines, before_items, before_calls; SELECT 1")
	for _, table := range [][2]string{{"before_spends", "spends"}, {"before_lines", "ledger_entries"}, {"before_items", "inventory_grants"}, {"before_calls", "adjustments"}} {
		where := map[string]string{"spends": "id = {id}", "adjustments": "id = (SELECT adjustment_id FROM spends WHERE id = {id})"}[table[1]]
		if where == "" {
			where = "spend_id = {id}"
		}
		db.MustExec(with(id, "CREATE TABLE "+table[0]+" AS SELECT * FROM "+table[1]+" WHERE "+where))
	}
	for _, statement := range s.sql {
		byHand(t, db, with(id, statement))
	}
	return nil
}

func restore(t testing.TB, db *sqlx.DB) {
	t.Helper()
	byHand(t, db,
		"DELETE FROM ledger_entries WHERE spend_id IN (SELECT id FROM before_spends)", "INSERT INTO ledger_entries SELECT * FROM before_lines")
	for _, statement := range []string{
		"DELETE FROM inventory_grants WHERE spend_id IN (SELECT id FROM before_spends)", "INSERT INTO inventory_grants SELECT * FROM before_items",
		"UPDATE spends s SET state = b.state, left_state = b.left_state, cost = b.cost FROM before_spends b WHERE b.id = s.id",
		"UPDATE adjustments s SET state = b.state FROM before_calls b WHERE b.id = s.id",
	} {
		db.MustExec(statement)
	}
}

func with(id, statement string) string {
	return strings.ReplaceAll(statement, "{id}", "'"+id+"'::uuid")
}

// BenchmarkWhole audits as many ledger lines as SLUICE_AUDIT_LINES says, a hundred
// thousand if it says nothing. cpu-s is what PostgreSQL's sessions worked for one
// audit, whoever else used the machine.
func BenchmarkWhole(b *testing.B) {
	lines := 100_000
	if said, err := strconv.Atoi(os.Getenv("SLUICE_AUDIT_LINES")); err == nil {
		lines = said
	}
	db := testenv.Postgres(b)
	generate(b, db, lines*5/9)
	report := whole(b, db)
	require.Empty(b, report.Wrong)
	started, worked := time.Now(), sessionsWorked(b, db)
	for b.Loop() {
		whole(b, db)
	}
	perAudit := time.Since(started).Seconds() / float64(b.N)
	b.ReportMetric((sessionsWorked(b, db)-worked)/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(report.Lines)/perAudit, "lines/s")
	b.ReportMetric(float64(report.Lines), "lines")
}

// sessionsWorked is the CPU time, in seconds, of the sessions that are open now; 0
// where the system does not tell (it has no /proc).
func sessionsWorked(tb testing.TB, db *sqlx.DB) (seconds float64) {
	tb.Helper()
	var pids []int
	require.NoError(tb, db.Select(&pids, "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"))
	for _, pid := range pids {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		_, rest, found := strings.Cut(string(raw), ") ")
		fields := strings.Fields(rest)
		if err != nil || !found || len(fields) < 13 {
			continue
		}
		for _, ticks := range fields[11:13] { // utime and stime of proc(5), a hundredth of a second each
			n, err := strconv.ParseFloat(ticks, 64)
			require.NoError(tb, err)
			seconds += n / 100
		}
	}
	return seconds
}
