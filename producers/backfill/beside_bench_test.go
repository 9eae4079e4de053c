package backfill_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// BenchmarkCommitsBesideABackfill measures commits at 100 a second, each with a row and
// an event as an accepted spend has them, alone and while a backfill runs, with fsync
// on: an open loop, a commit's time counts from when it was due.
//
//	go test -run '^$' -bench CommitsBeside -benchtime 1x ./producers/backfill
func BenchmarkCommitsBesideABackfill(b *testing.B) {
	const alone = 8 * time.Second
	rows := int64(fromEnv("BACKFILL_ROWS", 200_000))
	path := export(b, b.TempDir(), "transactions.csv.gz", generator.Options{Seed: 1, Rows: rows, Format: generator.Gzip})
	for range b.N {
		db := benchServer(b)
		committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: subscriptions})
		commits := func(ctx context.Context) []time.Duration {
			var mu sync.Mutex
			var took []time.Duration
			var running sync.WaitGroup
			ticker := time.NewTicker(10 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					running.Wait()
					slices.Sort(took)
					return took
				case due := <-ticker.C:
					running.Go(func() {
						id := outbox.NewID()
						_, err := committer.Commit(b.Context(), outbox.Effects{
							Guard:  purchases.Wished{AppUserID: id, At: due, By: "bench"},
							Events: []events.Event{events.NewCustomerResyncRequested(events.Live, events.ResyncOperator, id, id, due)},
						})
						mu.Lock()
						defer mu.Unlock()
						if err != nil {
							b.Error(err)
						}
						took = append(took, time.Since(due))
					})
				}
			}
		}
		report := func(name string, took []time.Duration) {
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", name, p))
			}
		}
		quiet, cancel := context.WithTimeout(b.Context(), alone)
		report("alone", commits(quiet))
		cancel()
		beside, cancel := context.WithCancel(b.Context())
		engine := newEngine(db)
		engine.Chunk, engine.Workers, engine.Rate = fromEnv("BACKFILL_CHUNK", 0), fromEnv("BACKFILL_WORKERS", benchWorkers), fromEnv("BACKFILL_RATE", 0)
		engine.Share = float64(fromEnv("BACKFILL_SHARE", 100*backfill.ShareDefault)) / 100
		began := time.Now()
		go func() {
			defer cancel()
			if _, err := runFiles(b.Context(), engine, path); err != nil {
				b.Error(err)
			}
		}()
		report("beside", commits(beside))
		b.ReportMetric(float64(rows)/time.Since(began).Seconds(), "rows/s")
		committer.Close()
		require.Equal(b, int(rows), count(b, db, "SELECT sum(row_new + row_changed + row_same) FROM backfill_files"))
		b.ReportMetric(0, "ns/op")
	}
}
