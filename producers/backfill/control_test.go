package backfill_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/producers/backfill"
)

func TestARunIsPausedResumedAndCancelledByItsRow(t *testing.T) {
	t.Parallel()
	dir := folder(t, 300)
	db := testenv.Postgres(t)
	runs := backfill.Runs{DB: db}
	engine := newEngine(db)
	engine.Chunk = 20
	var once sync.Once
	var id string
	resumed := false // reports come one at a time; another part may have seen the pause, too
	// Not require: these are not the test's goroutines.
	engine.Report = func(now backfill.Progress) {
		once.Do(func() {
			id = now.Run.ID
			assert.NoError(t, runs.Pause(t.Context(), id, "ann", "lunch"))
		})
		if strings.HasPrefix(now.Waiting, "paused by ann") && !resumed { // its process stays, and goes on when somebody says so
			done := count(t, db, "SELECT sum(row_done) FROM backfill_files")
			run, err := runs.Show(t.Context(), id)
			assert.NoError(t, err)
			assert.Equal(t, backfill.Paused, run.State)
			assert.True(t, run.Alive)
			assert.Equal(t, "lunch", run.Reason)
			_, err = engine.Run(t.Context(), run, nil)
			assert.ErrorContains(t, err, "another process works on backfill", "nobody else can take it")
			assert.Equal(t, done, count(t, db, "SELECT sum(row_done) FROM backfill_files"))
			assert.NoError(t, runs.Resume(t.Context(), id, "bob"))
			resumed = true
		}
	}
	run, err := runFiles(t.Context(), engine, dir)
	require.NoError(t, err)
	require.Equal(t, backfill.Done, run.State)
	require.Equal(t, int64(900), run.Counts.Rows())
	require.False(t, run.Alive)
	for _, act := range []func() error{
		func() error { return runs.Pause(t.Context(), run.ID, "ann", "") },
		func() error { return runs.Resume(t.Context(), run.ID, "ann") },
		func() error { return runs.Cancel(t.Context(), run.ID, "ann", "") },
	} {
		require.ErrorIs(t, act(), backfill.ErrFinished)
	}
	require.ErrorIs(t, runs.Pause(t.Context(), "x", "ann", ""), backfill.ErrNotFound)

	// Another one is cancelled: nothing more is recorded, and the command begins anew.
	engine = newEngine(db)
	engine.Chunk = 20
	engine.Report = func(now backfill.Progress) {
		assert.NoError(t, runs.Cancel(t.Context(), now.Run.ID, "ann", "wrong file"))
	}
	cancelled, err := runFiles(t.Context(), engine, dir)
	require.ErrorIs(t, err, backfill.ErrCancelled)
	require.Equal(t, backfill.Cancelled, cancelled.State)
	require.Less(t, cancelled.Counts.Rows(), int64(900))
	engine.Report = nil
	last, err := runFiles(t.Context(), engine, dir)
	require.NoError(t, err)
	require.NotEqual(t, cancelled.ID, last.ID)
	list, err := runs.List(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, []string{last.ID, cancelled.ID}, []string{list[0].ID, list[1].ID})
}

func TestARunThatIsInterruptedGoesOnWithTheSameCommand(t *testing.T) {
	t.Parallel()
	dir := folder(t, 300)
	db := testenv.Postgres(t)
	ctx, cancel := context.WithCancel(t.Context())
	engine := newEngine(db)
	engine.Chunk = 20
	engine.Report = func(backfill.Progress) { cancel() }
	first, err := runFiles(ctx, engine, dir)
	require.ErrorIs(t, err, backfill.ErrPaused)
	require.Equal(t, backfill.Paused, first.State)
	require.Less(t, first.Counts.Rows(), int64(900))
	engine.Report, engine.Workers = nil, 5 // a file that was begun keeps its parts
	second, err := runFiles(t.Context(), engine, dir)
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	require.Equal(t, int64(900), second.Counts.Rows())
}

func TestARunPausesBeforeTooManyPlayersAreChanged(t *testing.T) {
	t.Parallel()
	dir := folder(t, 300)
	db := testenv.Postgres(t)
	engine := newEngine(db)
	engine.Chunk, engine.ImpactMax = 5, 10
	run, err := runFiles(t.Context(), engine, dir)
	require.ErrorIs(t, err, backfill.ErrImpact)
	require.Equal(t, backfill.Paused, run.State)
	require.LessOrEqual(t, count(t, db, "SELECT count(DISTINCT app_user_id) FROM purchases"), 10)
	require.LessOrEqual(t, run.Players, int64(10))
	require.Positive(t, run.Players)
	require.Equal(t, int(run.Players), count(t, db, "SELECT count(*) FROM backfill_players"))
	var all int64
	t.Run("elsewhere, without a pause", func(t *testing.T) {
		engine := newEngine(testenv.Postgres(t))
		engine.ImpactMax = 1000
		run, err := runFiles(t.Context(), engine, dir)
		require.NoError(t, err)
		all = run.Players
	})
	engine.ImpactMax = all // exactly: whoever was changed before the pause does not count again
	run, err = runFiles(t.Context(), engine, dir)
	require.NoError(t, err)
	require.Equal(t, int64(900), run.Counts.Rows())
	require.Equal(t, all, run.Players)
	require.Zero(t, count(t, db, "SELECT count(*) FROM backfill_players"), "it ended")
}

// Consumers are owed no more than the limit and what was under way when it was reached.
func TestARunWaitsForConsumers(t *testing.T) {
	t.Parallel()
	path := export(t, t.TempDir(), "a.csv", generator.Options{Seed: 4, Rows: 600})
	db := testenv.Postgres(t)
	engine := newEngine(db)
	engine.Chunk, engine.BacklogMax = 20, 100
	waited, most := 0, 0
	engine.Report = func(now backfill.Progress) {
		most = max(most, count(t, db, "SELECT count(*) FROM outbox"))
		if now.Waiting != "" {
			waited++
			_, err := db.Exec("DELETE FROM outbox") // the consumers come back
			assert.NoError(t, err)
		}
	}
	_, err := runFiles(t.Context(), engine, path)
	require.NoError(t, err)
	require.Positive(t, waited)
	require.LessOrEqual(t, most, 100+2*2*20+20)
}

// refusals keeps them in memory.
type refusals struct{ list []*exports.RowError }

func (r *refusals) Begin(string, int64, int64) error { return nil }
func (r *refusals) Keep(list []*exports.RowError) error {
	r.list = append(r.list, list...)
	return nil
}

func TestRowsThatCannotBeReadAreRejectedAndTheRestIsRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := export(t, dir, "a.csv", generator.Options{Seed: 4, Rows: 200})
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	rows := strings.SplitAfter(string(raw), "\n")
	rows[50] = "too,few\n"
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(rows, "")), 0o600))
	cut := export(t, dir, "b.csv.gz", generator.Options{Seed: 5, Rows: 20_000, Format: generator.Gzip})
	whole, err := os.ReadFile(cut)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cut, whole[:len(whole)/2], 0o600))
	good := rowsOf(t, cut)
	export(t, dir, "c.csv", generator.Options{Seed: 6, Rows: 100})

	db := testenv.Postgres(t)
	engine := newEngine(db)
	kept := &refusals{}
	engine.Refused = kept
	run, err := runFiles(t.Context(), engine, dir)
	var unreadable *exports.FileError
	require.ErrorAs(t, err, &unreadable, "the cut file is named")
	require.Equal(t, cut, unreadable.File)
	require.Equal(t, backfill.Failed, run.State)
	require.Contains(t, run.Reason, "b.csv.gz")
	require.Len(t, kept.list, 1)
	require.Equal(t, int64(51), kept.list[0].Line)
	require.Equal(t, int64(1), run.Counts.Refused)
	require.Equal(t, 2, run.FilesDone, "the files before and after it are recorded")
	require.Equal(t, 300+good, run.Counts.Rows(), "and so is all that comes before the cut, in every part")

	// The file is delivered again, whole: the same command reads it anew and ends.
	require.NoError(t, os.WriteFile(cut, whole, 0o600))
	run, err = runFiles(t.Context(), engine, dir)
	require.NoError(t, err)
	require.Equal(t, backfill.Done, run.State)
	require.Equal(t, int64(20_300), run.Counts.Rows())
}

// rowsOf is how many rows of a file can be read.
func rowsOf(t *testing.T, path string) (n int64) {
	t.Helper()
	r, err := exports.OpenTransactions(t.Context(), exports.File{URL: path}, exports.Options{})
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	for err == nil {
		if _, err = r.Next(); err == nil {
			n++
		}
	}
	return n
}

func TestAFilterTakesOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	dir := folder(t, 400)
	rows := facts(t, dir)
	player, product, since := rows[7].Fact.AppUserID, rows[9].Fact.Product, rows[11].Fact.At
	for name, test := range map[string]struct {
		filter backfill.Filter
		takes  func(i int) bool
	}{
		"player":  {backfill.Filter{Players: []string{player}}, func(i int) bool { return rows[i].Fact.AppUserID == player || contains(rows[i].Aliases, player) }},
		"product": {backfill.Filter{Products: []string{product}}, func(i int) bool { return rows[i].Fact.Product == product }},
		"since":   {backfill.Filter{Since: since}, func(i int) bool { return !rows[i].Fact.At.Before(since) }},
		"until":   {backfill.Filter{Until: since}, func(i int) bool { return rows[i].Fact.At.Before(since) }},
	} {
		t.Run(name, func(t *testing.T) {
			db := testenv.Postgres(t)
			run, err := runCommand(t.Context(), newEngine(db), backfill.Command{Feed: exports.Transactions, URLs: []string{dir}, Filter: test.filter})
			require.NoError(t, err)
			want := int64(0)
			for i := range rows {
				if test.takes(i) {
					want++
				}
			}
			require.InDelta(t, want, run.Counts.Rows()-run.Counts.Skipped, 5, "rows that the store took back name no product")
			require.Equal(t, int64(1200), run.Counts.Rows())
			require.Positive(t, want)
		})
	}
}

func contains(list []string, one string) bool {
	for _, text := range list {
		if text == one {
			return true
		}
	}
	return false
}

func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	path := export(t, t.TempDir(), "a.csv", generator.Options{Seed: 4, Rows: 300})
	engine := newEngine(testenv.Postgres(t))
	engine.Chunk, engine.Rate = 50, 300
	began := time.Now()
	_, err := runFiles(t.Context(), engine, path)
	require.NoError(t, err)
	require.Greater(t, time.Since(began), 600*time.Millisecond, "300 rows at 300 a second, the first 50 of each part at once")
}

// The newest word wins, so one from the future would win over every refund until then.
func TestARowFromTheFutureIsRejected(t *testing.T) {
	t.Parallel()
	path := export(t, t.TempDir(), "a.csv", generator.Options{Seed: 4, Rows: 600, Until: start.AddDate(0, 1, 0)})
	db := testenv.Postgres(t)
	engine := newEngine(db)
	kept := &refusals{}
	engine.Refused = kept
	run, err := runFiles(t.Context(), engine, path)
	require.NoError(t, err)
	require.Positive(t, run.Counts.Refused)
	require.Len(t, kept.list, int(run.Counts.Refused))
	require.Contains(t, kept.list[0].Error(), "yet to come")
	require.Zero(t, count(t, db, "SELECT count(*) FROM purchase_versions WHERE said_at > '"+start.Add(24*time.Hour).Format(time.RFC3339)+"'"))
	engine.Now = func() time.Time { return start.AddDate(0, 1, 0) }
	run, err = runFiles(t.Context(), engine, path)
	require.NoError(t, err)
	require.Zero(t, run.Counts.Refused, "by then they are of the past")
}
