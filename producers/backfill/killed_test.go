package backfill_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// killedAt is a run that is killed: what it reads, in commits of how many rows, and how
// many rows further than its start each process may come before it is killed; both parts
// of a file count its rows.
type killedAt struct {
	dir           string
	rows          int
	chunk, behind int
	sameEnd       func(t *testing.T, clean, killed *sqlx.DB)
}

// killedSize is small, and the million rows of all versions of the promise with E2E_LONG;
// E2E_ROWS says another number.
//
//	make long LONG=TestABackfillKilled                  (1,000,000 rows, 3 minutes)
//	E2E_ROWS=200000 make long LONG=TestABackfillKilled
func killedSize(t *testing.T) killedAt {
	t.Helper()
	rows, err := strconv.Atoi(os.Getenv("E2E_ROWS"))
	if err != nil && os.Getenv("E2E_LONG") == "" {
		return killedAt{folder(t, 2000), 6000, 50, 100, func(t *testing.T, clean, killed *sqlx.DB) {
			t.Helper()
			requireSame(t, whole(t, clean), whole(t, killed))
		}}
	}
	if err != nil {
		rows = benchRows
	}
	dir := t.TempDir()
	mixed(t, dir, generator.Options{Seed: 1, Rows: int64(rows), Format: generator.Gzip})
	return killedAt{dir, rows, 500, rows / 4, func(t *testing.T, clean, killed *sqlx.DB) {
		t.Helper()
		require.Equal(t, sums(t, clean), sums(t, killed))
	}}
}

// sums is what wholeLines are as a number: millions of them are held by nobody.
func sums(t *testing.T, db *sqlx.DB) (sum string) {
	t.Helper()
	require.NoError(t, db.Get(&sum, `SELECT string_agg(concat_ws(' ', kind, n, sum), ', ' ORDER BY kind) FROM (
		SELECT split_part(line, ' ', 1) AS kind, count(*) AS n, sum(hashtextextended(line, 7)::numeric) AS sum FROM (`+wholeLines+`) l GROUP BY 1) k`))
	return sum
}

// A process that is killed at any row goes on where it was: five times, and the end is
// that of one clean run.
func TestABackfillKilledFiveTimesEndsAsOneThatWasNot(t *testing.T) {
	t.Parallel()
	run := killedSize(t)
	clean := testenv.Postgres(t)
	engine := newEngine(clean)
	engine.Chunk = run.chunk
	_, err := runFiles(t.Context(), engine, run.dir)
	require.NoError(t, err)
	t.Run("killed", func(t *testing.T) {
		db := testenv.Postgres(t)
		self, err := os.Executable()
		require.NoError(t, err)
		kills := 0
		for done := false; !done; {
			process := exec.CommandContext(t.Context(), self, run.dir)
			process.Env = append(os.Environ(), childURL+"="+testenv.PostgresURL(t), fmt.Sprintf("%s=%d", childChunk, run.chunk))
			process.Stderr = os.Stderr
			require.NoError(t, process.Start())
			before := count(t, db, "SELECT coalesce(sum(row_done), 0) FROM backfill_files")
			if kills < 5 {
				// Once it has committed something, so that all five kills hit a run under way.
				require.Eventually(t, func() bool {
					return count(t, db, "SELECT coalesce(sum(row_done), 0) FROM backfill_files") > before+run.behind
				}, 5*time.Minute, time.Millisecond)
				require.NoError(t, process.Process.Kill())
				kills++
			}
			done = process.Wait() == nil
		}
		require.Equal(t, 5, kills)
		require.Equal(t, 1, count(t, db, "SELECT count(*) FROM backfill_runs WHERE state = 'done'"))
		require.Equal(t, run.rows, count(t, db, "SELECT sum(row_new + row_changed + row_same) FROM backfill_files"))
		run.sameEnd(t, clean, db)
	})
}
