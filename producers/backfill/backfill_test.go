package backfill_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// folder writes exports of several templates, formats and dates, which tell of the
// same purchases.
func folder(t *testing.T, rows int64) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range []string{"2026-10-29/a.csv", "2026-10-30/b.csv.gz", "2026-10-31/c.parquet"} {
		export(t, dir, name, generator.Options{
			Seed: uint64(1 + i/2), Rows: rows, Version: []int{3, 7, 5}[i], Format: generator.Formats[i], Players: 40,
		})
	}
	return dir
}

// facts reads the rows of a folder, in order.
func facts(t *testing.T, dir string) []purchases.Statement {
	t.Helper()
	found, err := exports.Find(t.Context(), []string{dir}, exports.Transactions)
	require.NoError(t, err)
	var list []purchases.Statement
	for _, file := range found.Files {
		r, err := exports.OpenTransactions(t.Context(), file, exports.Options{})
		require.NoError(t, err)
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			list = append(list, purchases.Statement{Fact: row.Fact, Aliases: row.Aliases})
		}
		require.NoError(t, r.Close())
	}
	return list
}

// recorder is the slow way: one row, one commit.
type recorder struct {
	db        *sqlx.DB
	store     *purchases.Store
	committer *outbox.Committer
	recorder  *purchases.Recorder
}

func newRecorder(t *testing.T, db *sqlx.DB) *recorder {
	t.Helper()
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: subscriptions})
	t.Cleanup(committer.Close)
	store := purchases.NewStore(db)
	return &recorder{db, store, committer, &purchases.Recorder{Store: store, Committer: committer, Now: func() time.Time { return start }}}
}

func (r *recorder) record(t *testing.T, s purchases.Statement, lane events.Lane) {
	t.Helper()
	_, err := r.recorder.Record(t.Context(), s.Fact, lane)
	assert.NoError(t, err) // this may not be the test's goroutine
	if len(s.Aliases) == 0 {
		return
	}
	told, err := r.store.Told(t.Context(), economy.PurchaseKey{}, [][]string{s.Aliases})
	assert.NoError(t, err) // this may not be the test's goroutine
	effects := outbox.Effects{Guard: purchases.ReadingBegun{AppUserID: "guard", At: start}, Rows: purchases.Aliases(s.Aliases, backfill.Source, start)}
	if len(told.Unlinked) > 0 {
		effects.Events = append(effects.Events, purchases.LinkedEvent(lane, backfill.Source, s.Aliases, start))
	}
	_, err = r.committer.Commit(t.Context(), effects)
	assert.NoError(t, err) // this may not be the test's goroutine
}

func TestABackfillEndsAsItsRowsOneByOne(t *testing.T) {
	t.Parallel()
	dir := folder(t, 500)
	slow := newRecorder(t, testenv.Postgres(t))
	for _, s := range facts(t, dir) {
		slow.record(t, s, events.Bulk)
	}
	t.Run("in bulk", func(t *testing.T) {
		db := testenv.Postgres(t)
		run, err := runFiles(t.Context(), newEngine(db), dir)
		require.NoError(t, err)
		require.Equal(t, backfill.Done, run.State)
		require.Equal(t, int64(1500), run.Counts.Rows())
		require.Equal(t, int64(count(t, db, "SELECT count(*) FROM purchases")), run.Counts.New)
		require.Equal(t, int64(count(t, db, "SELECT count(*) FROM customer_aliases")), run.Counts.Links)
		requireSame(t, whole(t, slow.db), whole(t, db))

		again, err := runFiles(t.Context(), newEngine(db), dir)
		require.NoError(t, err)
		require.NotEqual(t, run.ID, again.ID)
		require.Equal(t, backfill.Counts{Same: 1500, Bytes: run.Counts.Bytes}, again.Counts, "nothing is new")
		requireSame(t, whole(t, slow.db), whole(t, db))
	})
}

// Webhooks of the same transactions come before, while and after: older and newer than
// the rows. One effect each, and what is known is the same as in any other order.
func TestABackfillBesideWebhooksOfTheSamePurchases(t *testing.T) {
	t.Parallel()
	dir := folder(t, 300)
	rows := facts(t, dir)
	random := rand.New(rand.NewPCG(2, 2))
	var live []purchases.Statement
	for i := range 250 {
		row := rows[random.IntN(len(rows))]
		fact := economy.PurchaseFact{
			Key: row.Fact.Key, Source: economy.FromWebhook, Kind: economy.FactBought, At: row.Fact.At.Add(time.Duration(random.IntN(3)-1) * time.Hour),
			By: fmt.Sprintf("evt-%d", i), AppUserID: row.Fact.AppUserID, Product: row.Fact.Product, PurchasedAt: row.Fact.PurchasedAt,
		}
		if i%3 == 0 {
			fact.Kind, fact.Refund = economy.FactRefunded, &economy.Refund{At: fact.At}
		}
		live = append(live, purchases.Statement{Fact: fact})
	}
	slow := newRecorder(t, testenv.Postgres(t))
	for _, i := range random.Perm(len(rows) + len(live)) {
		if i < len(live) {
			slow.record(t, live[i], events.Store)
		} else {
			slow.record(t, rows[i-len(live)], events.Bulk)
		}
	}
	t.Run("in bulk", func(t *testing.T) {
		db := testenv.Postgres(t)
		webhooks := newRecorder(t, db)
		engine := newEngine(db)
		engine.Chunk = 20
		next := 0
		engine.Report = func(backfill.Progress) { // between and beside the commits
			for range 5 {
				if next < len(live) {
					webhooks.record(t, live[next], events.Store)
					next++
				}
			}
		}
		beside := make(chan struct{})
		go func() {
			defer close(beside)
			for _, s := range live[200:] {
				_, _ = webhooks.recorder.Record(t.Context(), s.Fact, events.Store)
			}
		}()
		_, err := runFiles(t.Context(), engine, dir)
		require.NoError(t, err)
		<-beside
		for _, s := range live[min(next, len(live)):] {
			webhooks.record(t, s, events.Store)
		}
		requireSame(t, known(t, slow.db), known(t, db))
		require.Equal(t, count(t, db, "SELECT count(*) FROM purchases"), count(t, db, "SELECT count(*) FROM purchases JOIN (SELECT store, environment, transaction_id, max(version) AS version FROM "+
			named+" n GROUP BY 1, 2, 3) told USING (store, environment, transaction_id, version)"), "everybody is told of the last change")
	})
}
