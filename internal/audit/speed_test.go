//go:build speed

package audit_test

import (
	"cmp"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// TestMillionsOfLinesAreAuditedInSeconds is not in CI: make audit-speed LINES=10000000.
// Its database stays in AUDIT_SPEED_DIR when that is set; it is made once, and is not
// changed but for a minute's spends at a time.
func TestMillionsOfLinesAreAuditedInSeconds(t *testing.T) {
	lines, err := strconv.Atoi(cmp.Or(os.Getenv("LINES"), "10000000"))
	require.NoError(t, err)
	workers, err := strconv.Atoi(cmp.Or(os.Getenv("WORKERS"), "2"))
	require.NoError(t, err)
	runs, err := strconv.Atoi(cmp.Or(os.Getenv("RUNS"), "3"))
	require.NoError(t, err)
	db := testenv.MeasuredPostgres(t, os.Getenv("AUDIT_SPEED_DIR"))
	var have bool
	require.NoError(t, db.Get(&have, "SELECT EXISTS (SELECT FROM spends)"))
	if !have {
		began := time.Now()
		generate(t, db, lines*5/9)
		_, err := db.ExecContext(t.Context(), "CHECKPOINT")
		require.NoError(t, err)
		t.Logf("generated in %s", time.Since(began).Round(time.Second))
	}
	for range runs {
		began, worked := time.Now(), sessionsWorked(t, db)
		report, err := audit.Whole(t.Context(), db, workers, nil)
		require.NoError(t, err)
		require.Empty(t, report.Wrong)
		t.Logf("whole: %d ledger lines of %d spends in %.1f s, of PostgreSQL's processors %.1f s", report.Lines, report.Spends, time.Since(began).Seconds(), sessionsWorked(t, db)-worked)
	}
	id := idOf(t, db, lines/160*40+20) // one that is fulfilled
	const change = "UPDATE ledger_entries SET amount = amount + ({by}) WHERE spend_id = {id}"
	byHand(t, db, with(id, strings.ReplaceAll(change, "{by}", "-1")))
	began := time.Now()
	report, err := audit.Whole(t.Context(), db, workers, nil)
	require.NoError(t, err)
	require.NotEmpty(t, report.Wrong)
	require.Equal(t, id, report.Wrong[0].Subject)
	t.Logf("whole, and one gem stolen named: %.1f s", time.Since(began).Seconds())
	byHand(t, db, with(id, strings.ReplaceAll(change, "{by}", "1")))
	w := &audit.Watcher{DB: db, Log: slog.New(slog.DiscardHandler)}
	_, err = w.Look(t.Context())
	require.NoError(t, err)
	const aMinute = 6_000
	for range 3 {
		for range aMinute {
			asOfNow(t, db)
		}
		began, worked := time.Now(), sessionsWorked(t, db)
		wrong, err := w.Look(t.Context())
		require.NoError(t, err)
		require.Empty(t, wrong)
		t.Logf("a minute's look after %d spends: %.2f s, of PostgreSQL's processors %.2f s", aMinute, time.Since(began).Seconds(), sessionsWorked(t, db)-worked)
	}
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
