package exports_test

import (
	"io"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

// BenchmarkTransactions measures a row from the file to its fact, gunzip included:
// go test -run '^$' -bench Transactions ./internal/exports
func BenchmarkTransactions(b *testing.B) {
	for _, format := range generator.Formats {
		b.Run(string(format), func(b *testing.B) {
			const rows = 100_000
			name := filepath.Join(b.TempDir(), "transactions."+string(format))
			create(b, name, generator.Options{Seed: 1, Rows: rows, Format: format})
			b.SetBytes(found(b, name).Size)
			b.ReportAllocs()
			read := 0
			before := processor()
			for b.Loop() {
				r, err := exports.OpenTransactions(b.Context(), found(b, name), exports.Options{})
				require.NoError(b, err)
				for {
					if _, err := r.Next(); err != nil {
						require.ErrorIs(b, err, io.EOF)
						break
					}
					read++
				}
				require.NoError(b, r.Close())
			}
			b.ReportMetric(float64((processor()-before).Nanoseconds())/float64(read), "cpu-ns/row")
		})
	}
}

// BenchmarkGenerator: go test -run '^$' -bench Generator ./internal/exports
func BenchmarkGenerator(b *testing.B) {
	for _, format := range generator.Formats {
		b.Run(string(format), func(b *testing.B) {
			const rows = 100_000
			n := 0
			before := processor()
			for b.Loop() {
				_, err := generator.Write(io.Discard, generator.Options{Seed: 1, Rows: rows, Format: format})
				require.NoError(b, err)
				n += rows
			}
			b.ReportMetric(float64(n)/(processor()-before).Seconds(), "rows/cpu-s")
		})
	}
}

// processor is the time that this process was on a processor: on a shared machine it
// says more than a clock.
func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
