package backfill_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// childURL is the database of a process that runs a backfill and is made to be killed;
// childFeed what it reads, if not transactions.
const (
	childURL  = "BACKFILL_TEST_URL"
	childFeed = "BACKFILL_TEST_FEED"
	// childChunk is how many rows a commit has.
	childChunk = "BACKFILL_TEST_CHUNK"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	testenv.Main(m)
}

// child runs the backfill of the files named as arguments.
func child(url string) {
	ctx := context.Background()
	db, err := postgres.Open(ctx, postgres.Config{URL: url})
	if err == nil {
		engine, feed := newEngine(db), exports.Transactions
		engine.Chunk = fromEnv(childChunk, 50)
		if other := os.Getenv(childFeed); other != "" {
			engine, feed = newFeedEngine(db), exports.Feed(other)
		}
		_, err = runCommand(ctx, engine, backfill.Command{Feed: feed, URLs: os.Args[1:]})
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

var subscriptions = outbox.Subscriptions{
	events.StorePurchaseChangedV1: {"access"}, events.StorePurchaseChangedV2: {"access"}, events.StoreCustomerChangedV1: {"access"}, events.CustomerResyncRequestedV1: {"resync"},
}

var start = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

func newEngine(db *sqlx.DB) *backfill.Engine {
	return &backfill.Engine{DB: db, Subscriptions: subscriptions, Now: func() time.Time { return start }, Log: slog.New(slog.DiscardHandler), Chunk: 97}
}

// runFiles is what the command does.
func runFiles(ctx context.Context, engine *backfill.Engine, urls ...string) (backfill.Run, error) {
	return runCommand(ctx, engine, backfill.Command{Feed: exports.Transactions, URLs: urls})
}

func runCommand(ctx context.Context, engine *backfill.Engine, command backfill.Command) (backfill.Run, error) {
	found, err := exports.Find(ctx, command.URLs, command.Feed)
	if err != nil {
		return backfill.Run{}, err
	}
	run, _, err := backfill.Runs{DB: engine.DB}.Start(ctx, command, "tester")
	if err != nil {
		return run, err
	}
	return engine.Run(ctx, run, found.Files)
}

// export writes a generated export below dir.
func export(t testing.TB, dir, name string, opts generator.Options) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	file, err := os.Create(path)
	require.NoError(t, err)
	_, err = generator.Write(file, opts)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return path
}

// mixed writes a generated export of every version of the format below dir, oldest
// template first, and returns its files.
func mixed(t testing.TB, dir string, opts generator.Options) []string {
	t.Helper()
	var paths []string
	for i, file := range generator.Mixed(opts) {
		paths = append(paths, export(t, dir, fmt.Sprintf("2026-10-2%d/transactions.%s", i+1, file.Format), file))
	}
	return paths
}

// named are the purchases that events tell players of, one or many in an event.
const named = `(SELECT o.consumer, o.lane, o.payload->>'subject' AS player, o.payload->'data'->>'store' AS store, o.payload->'data'->>'environment' AS environment,
		t.key AS transaction_id, t.value::bigint AS version
	FROM outbox o, json_each_text(coalesce(o.payload->'data'->'transactions', json_build_object(o.payload->'data'->>'transaction_id', o.payload->'data'->'version'))) t
	WHERE o.event_id LIKE '%.changed')`

// folded are the links that events have customers folded for: one of their own, or one
// that tells a player of purchases beside.
const folded = `(SELECT DISTINCT o.consumer, o.lane, a.app_user_id, a.alias_of FROM customer_aliases a
	JOIN (SELECT alias_of AS member, alias_of FROM customer_aliases UNION SELECT app_user_id, alias_of FROM customer_aliases) m USING (alias_of)
	JOIN outbox o ON o.payload->>'subject' = m.member AND (o.payload->'data'->>'reason' = 'aliased' OR o.payload->'data'->>'linked' = 'true'))`

// whole is everything that a backfill writes, as text: how many purchases an event tells
// of depends on the chunks, what is told to whom does not.
func whole(t testing.TB, db *sqlx.DB) []string {
	t.Helper()
	return lines(t, db, wholeLines)
}

const wholeLines = `SELECT 'purchase ' || (to_jsonb(p) - 'change_id')::text AS line FROM purchases p
	UNION ALL SELECT 'version ' || to_jsonb(v)::text FROM purchase_versions v WHERE NOT EXISTS (SELECT FROM purchases p -- which tells the same
		WHERE p.version = 1 AND (p.transaction_id, p.store, p.environment) = (v.transaction_id, v.store, v.environment)
			AND p.stamps::jsonb ? concat_ws(' ', v.source, (extract(epoch FROM v.said_at) * 1000000)::bigint, v.kind, v.said_by))
	UNION ALL SELECT 'alias ' || to_jsonb(a)::text FROM customer_aliases a
	UNION ALL SELECT concat_ws(' ', 'told', consumer, lane, player, store, environment, transaction_id, max(version)) FROM ` + named + ` n
		GROUP BY consumer, lane, player, store, environment, transaction_id
	UNION ALL SELECT concat_ws(' ', 'folded for', consumer, lane, app_user_id, alias_of) FROM ` + folded + ` f
	UNION ALL SELECT 'owed ' || (to_jsonb(o) - 'due_at' - 'owed_since' - 'published_at')::text FROM outbox o
		WHERE event_id NOT LIKE '%.changed' AND (payload->'data'->>'reason' = 'aliased') IS NOT TRUE`

// known is what is known in the end, in whatever order it came: of two rows with one time
// that say different things, the first is the statement that is kept.
func known(t testing.TB, db *sqlx.DB) []string {
	t.Helper()
	return lines(t, db, `SELECT 'purchase ' || (to_jsonb(p) - 'change_id' - 'version' - 'recorded_at')::text AS line FROM purchases p
		UNION SELECT concat_ws(' ', 'version', store, environment, transaction_id, source, (extract(epoch FROM said_at) * 1000000)::bigint, kind, said_by) FROM purchase_versions v
		UNION SELECT concat_ws(' ', 'version', store, environment, transaction_id, stamp) FROM purchases p, json_object_keys(p.stamps) AS stamp WHERE p.version = 1
		UNION ALL SELECT 'alias ' || (to_jsonb(a) - 'linked_at')::text FROM customer_aliases a`)
}

func lines(t testing.TB, db *sqlx.DB, query string) []string {
	t.Helper()
	var list []string
	require.NoError(t, db.Select(&list, `SELECT * FROM (`+query+`) found ORDER BY line COLLATE "C"`))
	return list
}

func count(t testing.TB, db *sqlx.DB, query string) int {
	t.Helper()
	var n int
	require.NoError(t, db.Get(&n, query))
	return n
}

// requireSame names the first lines that differ; lists of thousands are no help.
func requireSame(t testing.TB, want, got []string) {
	t.Helper()
	in := map[string]int{}
	for _, line := range want {
		in[line]--
	}
	for _, line := range got {
		in[line]++
	}
	var differ []string
	for _, line := range append(want[:len(want):len(want)], got...) {
		if n := in[line]; n != 0 {
			differ = append(differ, fmt.Sprintf("%+d %s", n, line))
			in[line] = 0
		}
	}
	require.Empty(t, differ[:min(len(differ), 4)], "%d lines differ of %d and %d; + is too much, - is missing", len(differ), len(want), len(got))
}
