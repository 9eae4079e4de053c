package backfill_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// The size of the export and the engine's workers; BACKFILL_ROWS and BACKFILL_WORKERS
// say others.
const (
	benchRows    = 1_000_000
	benchWorkers = backfill.WorkersDefault
)

// fromEnv returns a number of the environment, or the default.
func fromEnv(name string, or int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return or
}

// BenchmarkBackfill measures a backfill of a generated export (gzip, newest template)
// of purchases that nobody knew, until every one is merged and its outbox rows are
// there, with fsync on. Before and after it a plain COPY of all columns of the same file
// into an unlogged table runs beside nothing else, as lib/pq does it: ratio is how much
// of its speed (the mean of the two) the backfill reaches. MiB is the peak of this
// process. The processor time of both sides tells what a busy machine hides.
//
//	go test -run '^$' -bench Backfill -benchtime 1x -timeout 30m ./producers/backfill
func BenchmarkBackfill(b *testing.B) {
	rows := int64(fromEnv("BACKFILL_ROWS", benchRows))
	dir := b.TempDir()
	path := export(b, dir, "transactions.csv.gz", generator.Options{Seed: 1, Rows: rows, Format: generator.Gzip})
	benchFiles(b, rows, dir, []string{path})
}

// BenchmarkVersions is BenchmarkBackfill of an export of all versions of the format, a
// file each (generator.Mixed). What it is compared with is a plain COPY of each file into
// a table of its columns, one after the other; of template 5, whose quotes no CSV reader
// understands, a copy of the file with doubled ones.
//
//	go test -run '^$' -bench Versions -benchtime 1x -timeout 30m ./producers/backfill
func BenchmarkVersions(b *testing.B) {
	rows := int64(fromEnv("BACKFILL_ROWS", benchRows))
	dir := b.TempDir()
	plain := mixed(b, dir, generator.Options{Seed: 1, Rows: rows, Format: generator.Gzip})
	for i, opts := range generator.Mixed(generator.Options{Seed: 1, Rows: rows, Format: generator.Gzip}) {
		if opts.Version == 5 {
			opts.Standard = true
			plain[i] = export(b, b.TempDir(), filepath.Base(plain[i]), opts)
		}
	}
	benchFiles(b, rows, dir, plain)
}

// benchFiles measures a backfill of a folder. plain are its files as they are copied.
func benchFiles(b *testing.B, rows int64, dir string, plain []string) {
	b.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as cmd/sluice does
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(backfill.MemoryLimit))
	for range b.N {
		db := benchServer(b)
		before := plainCopies(b, db, plain)
		debug.FreeOSMemory()
		heap := watchHeap(b)
		engine := newEngine(db)
		engine.Chunk, engine.Workers = fromEnv("BACKFILL_CHUNK", 0), fromEnv("BACKFILL_WORKERS", benchWorkers)
		own, server := ownCPU(b), serverCPU(b, db)
		started := time.Now()
		run, err := runFiles(b.Context(), engine, dir)
		took := time.Since(started)
		require.NoError(b, err)
		b.ReportMetric(perRow(ownCPU(b)-own, rows), "own-us/row")
		b.ReportMetric(perRow(serverCPU(b, db)-server, rows), "server-us/row")
		own, server = ownCPU(b), serverCPU(b, db)
		require.Equal(b, rows, run.Counts.Rows())
		peak := heap()
		b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
		b.ReportMetric(float64(peak)/(1<<20), "MiB")
		after := plainCopies(b, db, plain)
		b.ReportMetric(perRow(ownCPU(b)-own, rows), "copy-own-us/row")
		b.ReportMetric(perRow(serverCPU(b, db)-server, rows), "copy-server-us/row")
		plain := (before + after) / 2
		b.ReportMetric(float64(rows)/plain.Seconds(), "copy-rows/s")
		b.ReportMetric(plain.Seconds()/took.Seconds(), "ratio")
		b.ReportMetric(float64(count(b, db, "SELECT count(*) FROM outbox")), "owed")
		started = time.Now()
		again, err := runFiles(b.Context(), engine, dir)
		require.NoError(b, err)
		require.Equal(b, backfill.Counts{Same: rows, Bytes: run.Counts.Bytes}, again.Counts)
		b.ReportMetric(float64(rows)/time.Since(started).Seconds(), "again-rows/s")
		b.ReportMetric(0, "ns/op")
	}
}

// plainCopies copies files one after the other.
func plainCopies(b *testing.B, db *sqlx.DB, paths []string) (took time.Duration) {
	b.Helper()
	for _, path := range paths {
		took += plainCopy(b, db, path)
	}
	return took
}

// benchServer is a server as sluice dev starts it.
func benchServer(b *testing.B) *sqlx.DB {
	b.Helper()
	dir, err := os.MkdirTemp(os.TempDir(), "backfill-bench-")
	require.NoError(b, err)
	server, err := devstack.StartPostgres(b.Context(), devstack.PostgresConfig{DataDir: filepath.Join(dir, "postgres"), Durable: true})
	require.NoError(b, err)
	db, err := postgres.Open(b.Context(), postgres.Config{URL: server.URL(devstack.Database)})
	require.NoError(b, err)
	b.Cleanup(func() {
		_ = db.Close()
		require.NoError(b, server.Stop(context.WithoutCancel(b.Context())))
		require.NoError(b, os.RemoveAll(dir))
	})
	require.NoError(b, postgres.Migrate(b.Context(), db, newEngine(db).Log))
	return db
}

// plainCopy copies all columns of a file as text into an unlogged table.
func plainCopy(b *testing.B, db *sqlx.DB, path string) time.Duration {
	b.Helper()
	file, err := os.Open(path)
	require.NoError(b, err)
	defer func() { _ = file.Close() }()
	started := time.Now()
	zipped, err := gzip.NewReader(bufio.NewReaderSize(file, 1<<18))
	require.NoError(b, err)
	lines := bufio.NewReader(zipped)
	r := csv.NewReader(lines)
	r.ReuseRecord = true
	if start, err := lines.Peek(200); err == nil && bytes.IndexByte(start, ',') < 0 {
		r.Comma = ';'
	}
	header, err := r.Read()
	require.NoError(b, err)
	columns := append([]string{}, header...)
	_, err = db.Exec("CREATE UNLOGGED TABLE plain (" + strings.Join(columns, " text, ") + " text)")
	require.NoError(b, err)
	tx, err := db.Begin()
	require.NoError(b, err)
	statement, err := tx.Prepare("COPY plain (" + strings.Join(columns, ", ") + ") FROM STDIN")
	require.NoError(b, err)
	values := make([]any, len(columns))
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(b, err)
		for i, text := range record {
			values[i] = text
		}
		_, err = statement.Exec(values...)
		require.NoError(b, err)
	}
	_, err = statement.Exec()
	require.NoError(b, err)
	require.NoError(b, statement.Close())
	require.NoError(b, tx.Commit())
	took := time.Since(started)
	_, err = db.Exec("DROP TABLE plain")
	require.NoError(b, err)
	return took
}

// watchHeap watches the memory that this process has from the operating system, until
// the peak is asked for.
func watchHeap(b *testing.B) (peak func() uint64) {
	b.Helper()
	var highest atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			highest.Store(max(highest.Load(), m.Sys-m.HeapReleased))
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return highest.Load()
	}
}

func perRow(cpu time.Duration, rows int64) float64 { return cpu.Seconds() * 1e6 / float64(rows) }

// ownCPU is the processor time of this process so far.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// serverCPU is the processor time of all of the server's processes so far, those that
// have ended included: proc(5), in ticks of 10 ms.
func serverCPU(b *testing.B, db *sqlx.DB) time.Duration {
	b.Helper()
	// The fields behind the command's name, which may hold anything: 1 is the parent,
	// 11 to 14 are user and system time of the process and of its ended children.
	fields := func(pid string) []string {
		raw, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil { // it ended meanwhile
			return make([]string, 15)
		}
		return strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	}
	ticks := 0
	add := func(list []string) {
		for _, text := range list {
			n, _ := strconv.Atoi(text)
			ticks += n
		}
	}
	postmaster := fields(strconv.Itoa(count(b, db, "SELECT pg_backend_pid()")))[1]
	add(fields(postmaster)[13:15])
	children, err := os.ReadFile("/proc/" + postmaster + "/task/" + postmaster + "/children")
	require.NoError(b, err)
	for _, pid := range strings.Fields(string(children)) {
		add(fields(pid)[11:13])
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
