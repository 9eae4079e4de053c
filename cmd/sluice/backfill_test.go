package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// The whole of it by its commands: rehearsed, done, done again, listed and shown, with
// one row that cannot be read.
func TestBackfillByItsCommands(t *testing.T) {
	db := testenv.Postgres(t)
	_, err := books.NewCatalogs(db).Store(t.Context(), config.DemoCatalog())
	require.NoError(t, err)
	dir := t.TempDir()
	t.Setenv("SLUICE_DATABASE_URL", testenv.PostgresURL(t))
	t.Setenv("SLUICE_NATS_URL", "nats://127.0.0.1:1")
	t.Setenv("SLUICE_DATA_DIR", dir)
	t.Chdir(dir)
	var file bytes.Buffer
	_, err = generator.Write(&file, generator.Options{Seed: 9, Rows: 300, Until: time.Now().AddDate(0, 0, -1)})
	require.NoError(t, err)
	lines := strings.SplitAfter(file.String(), "\n")
	lines[5] = "too,few\n"
	require.NoError(t, os.WriteFile("transactions.csv", []byte(strings.Join(lines, "")), 0o600))

	sluice := func(wantCode int, args ...string) (out, told string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		require.Equal(t, wantCode, run(append([]string{"backfill"}, args...), &stdout, &stderr), "%s%s", &stdout, &stderr)
		return stdout.String(), stderr.String()
	}
	out, told := sluice(exitFailed, "transactions", "transactions.csv", "--dry-run", "--csv", "diff.csv")
	require.Contains(t, out, "Nothing was changed.")
	require.Contains(t, out, "total")
	require.Contains(t, out, "USED UP")
	require.Contains(t, out, "are of products that the catalogue does not have")
	require.Contains(t, told, "transactions.csv:6")
	diff, err := os.ReadFile("diff.csv")
	require.NoError(t, err)
	require.Contains(t, string(diff), "\nnew,player-")
	var purchases int
	require.NoError(t, db.Get(&purchases, "SELECT count(*) FROM purchases"))
	require.Zero(t, purchases)

	out, told = sluice(exitFailed, "transactions", "transactions.csv", "--json")
	require.Contains(t, told, "1 row was rejected")
	var answer struct {
		Backfill struct {
			ID, State string
			Rows      struct{ New, Rejected int }
		}
		Rejects string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Equal(t, "done", answer.Backfill.State)
	require.Equal(t, 1, answer.Backfill.Rows.Rejected)
	require.Positive(t, answer.Backfill.Rows.New)
	rejects, err := os.ReadFile(answer.Rejects)
	require.NoError(t, err)
	require.Contains(t, string(rejects), ",6,")

	require.Contains(t, out, `"product": "com.example.gems.100"`, "before anybody folds it")

	// What brought nothing asks for what was folded; nobody does that here but this.
	_, err = db.Exec(`INSERT INTO unknown_purchases (found_at, store, environment, transaction_id, product_id)
		SELECT now(), store, environment, transaction_id, product_id FROM purchases WHERE product_id = 'com.example.gems.100'`)
	require.NoError(t, err)
	out, _ = sluice(exitFailed, "transactions", filepath.Join(dir, "transactions.csv"))
	require.Contains(t, out, "app_store com.example.gems.100: ")
	require.Contains(t, out, "Nothing changed: 299 rows were known already, 1 was rejected.")
	out, _ = sluice(0, "list")
	require.Equal(t, 3, strings.Count(out, "\n"), out)
	out, _ = sluice(0, "show", answer.Backfill.ID)
	require.Contains(t, out, "transactions.csv")
	_, told = sluice(exitFailed, "pause", answer.Backfill.ID)
	require.Contains(t, told, "finished")
	_, told = sluice(exitFailed, "resume", "none")
	require.Contains(t, told, "no such backfill")
	sluice(exitBadUsage, "transactions", "transactions.csv", "--since", "2026-02-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z")
	sluice(exitBadUsage, "transactions", "transactions.csv", "--no-consumables-before", "2999-02-01T00:00:00Z")
	_, told = sluice(exitFailed, "transactions", "missing.csv")
	require.Contains(t, told, "missing.csv")

	// What can never be read: the run says how it is ended, and the dry run goes on behind it.
	require.NoError(t, os.WriteFile("damaged.csv", []byte("a,b\n1,2\n"), 0o600))
	out, told = sluice(exitFailed, "transactions", "damaged.csv", "transactions.csv", "--dry-run")
	require.Contains(t, out, "Nothing was changed. Of 300 rows")
	require.Contains(t, told, "not read: ")
	_, told = sluice(exitFailed, "transactions", "damaged.csv")
	require.Regexp(t, "end the run; what it recorded stays: sluice backfill cancel [0-9a-f-]+", told)
	out, _ = sluice(0, "list")
	require.Contains(t, out, "failed (mend the cause and resume it, or cancel it)")
}

// What a killed process wrote beyond its checkpoint is dropped, a line that was cut off
// as well; the rows come again. Between the checkpoints of two parts only the rows of one
// do: nothing is lost there, and nothing told twice.
func TestRejectedRowsOfAKilledProcessAreNotToldTwice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rejected.csv")
	killed := &rejectsFile{path: path}
	require.NoError(t, killed.Begin("a.csv", 0, 0))
	require.NoError(t, killed.Keep([]*exports.RowError{{File: "b.csv", Row: 90, Line: 91, Reason: "of another file"}, {File: "a.csv", Row: 3, Line: 4, Reason: "kept"}, {File: "a.csv", Row: 6, Line: 7, Reason: "of the part that is ahead"}, {File: "a.csv", Row: 7, Line: 8, Reason: "of the part that is behind"}}))
	require.NoError(t, killed.Keep([]*exports.RowError{{File: "a.csv", Row: 9, Line: 10, Reason: "not committed"}}))
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("a.csv,12,13,\"cut o")
	require.NoError(t, err)
	require.NoError(t, file.Close())

	next := &rejectsFile{path: path}
	require.NoError(t, next.Begin("a.csv", 5, 7))
	require.NoError(t, next.Keep([]*exports.RowError{{File: "a.csv", Row: 7, Line: 8, Reason: "told before"}, {File: "a.csv", Row: 9, Line: 10, Reason: "again"}}))
	require.NoError(t, next.close())
	raw, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, raw.Close()) }()
	rows, err := csv.NewReader(raw).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 6, "row 6 stays, and row 7 is told once")
	require.Equal(t, rejectsHeader, rows[0])
	require.Equal(t, []string{"a.csv", "9", "10", "", "again", ""}, rows[5])
}
