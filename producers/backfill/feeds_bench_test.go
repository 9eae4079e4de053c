package backfill_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/producers/backfill"
)

const feedRows = 200_000

// BenchmarkFeeds takes an archive of webhooks and a customer list in, once and once more,
// and writes an archive of what was kept.
func BenchmarkFeeds(b *testing.B) {
	for feed, line := range map[exports.Feed]func(i int) string{
		exports.Events: func(i int) string {
			return eventAt(int64(i)*100, fmt.Sprintf("%032x", i*2654435761%feedRows), "RENEWAL", fmt.Sprint("player-", i%5000), ofProduction+`,"subscriber_attributes":{"$email":{"value":"somebody@example.com","updated_at_ms":1772366400000}},"entitlement_ids":["premium"],"price_in_purchased_currency":4.99,"currency":"EUR"`) + "\n"
		},
		exports.Customers: func(i int) string {
			if i == 0 {
				return listHeader
			}
			return listed(fmt.Sprint("player-", i), fmt.Sprintf("player-%d,$RCAnonymousID:%032x", i, i), start, start.Add(-time.Hour), time.Time{}, "gems")
		},
	} {
		b.Run(string(feed), func(b *testing.B) {
			db := testenv.Postgres(b)
			path := filepath.Join(b.TempDir(), "file.gz")
			file, err := os.Create(path)
			require.NoError(b, err)
			packed := gzip.NewWriter(file)
			for i := range feedRows {
				_, err = packed.Write([]byte(line(i)))
				require.NoError(b, err)
			}
			require.NoError(b, packed.Close())
			require.NoError(b, file.Close())
			engine := newFeedEngine(db)
			engine.Chunk = 0
			var most uint64
			engine.Report = func(backfill.Progress) {
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				most = max(most, memory.HeapAlloc)
			}
			for b.Loop() {
				for _, round := range []string{"new", "known"} {
					began := time.Now()
					_, err := runFeed(b.Context(), engine, feed, path)
					require.NoError(b, err)
					b.ReportMetric(feedRows/time.Since(began).Seconds(), round+"-rows/s")
				}
				if feed == exports.Events {
					out, err := os.Create(filepath.Join(b.TempDir(), "out.jsonl"))
					require.NoError(b, err)
					began, w := time.Now(), bufio.NewWriter(out)
					wrote, err := (&backfill.Export{DB: db}).Write(b.Context(), w)
					require.NoError(b, err)
					require.Equal(b, int64(feedRows), wrote.Events)
					b.ReportMetric(feedRows/time.Since(began).Seconds(), "exported/s")
					require.NoError(b, w.Flush())
				}
				b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
			}
		})
	}
}
