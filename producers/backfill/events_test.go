package backfill_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
	"github.com/sluice-gems/sluice/producers/rcwebhook"
)

// policy takes production only, but for one tester.
var policy = rcwebhook.Policy{Environments: rcwebhook.Environments{Production: true, Testers: []string{"tess"}}, Redact: []string{"email"}}

// newFeedEngine is an engine of customer lists and of archives.
func newFeedEngine(db *sqlx.DB) *backfill.Engine {
	engine := newEngine(db)
	engine.Chunk, engine.Judge = 20, policy.Judge
	engine.Subscriptions = maps.Clone(subscriptions)
	maps.Copy(engine.Subscriptions, outbox.Subscriptions{events.StoreWebhookReceivedV1: {"access"}, events.StoreCurrencyMovedV1: {"mirror"}})
	return engine
}

func runFeed(ctx context.Context, engine *backfill.Engine, feed exports.Feed, urls ...string) (backfill.Run, error) {
	return runCommand(ctx, engine, backfill.Command{Feed: feed, URLs: urls})
}

// body is a webhook as the provider sends it.
func body(id, kind, player, more string) string { return eventAt(0, id, kind, player, more) }

// eventAt is body, some milliseconds later.
func eventAt(ms int64, id, kind, player, more string) string {
	return fmt.Sprintf(`{"api_version":"1.0","event":{"id":%q,"type":%q,"event_timestamp_ms":%d,"app_user_id":%q%s}}`, id, kind, 1772366400000+ms, player, more)
}

const ofProduction = `,"environment":"PRODUCTION","store":"APP_STORE","transaction_id":"t1","product_id":"gems","purchased_at_ms":1772366400000`

// archiveOf writes bodies of n events, every third of currency, and the path.
func archiveOf(t *testing.T, n int) string {
	t.Helper()
	var lines strings.Builder
	for i := range n {
		kind := []string{"RENEWAL", "NON_RENEWING_PURCHASE", "VIRTUAL_CURRENCY_TRANSACTION"}[i%3]
		lines.WriteString(body(fmt.Sprintf("e-%05d", i), kind, fmt.Sprintf("player-%d", i%50), ofProduction) + "\n")
	}
	return write(t, "archive.jsonl", lines.String())
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func zipped(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// kept is what an archive leaves, without the ids that are made up here.
func kept(t testing.TB, db *sqlx.DB) []string {
	t.Helper()
	return lines(t, db, `SELECT concat_ws(' ', w.received_at AT TIME ZONE 'UTC', w.event_at AT TIME ZONE 'UTC', w.event_key, w.verdict, w.type, w.environment, w.headers, convert_from(w.body, 'UTF8'),
			o.consumer, o.lane, substr(o.event_id, 37), o.payload->>'subject', o.payload->>'type', o.payload->>'time') AS line
		FROM webhook_events w JOIN webhook_keys k ON k.webhook_id = w.id AND k.event_key = w.event_key
		LEFT JOIN outbox o ON left(o.event_id, 36) = w.id::text`)
}

// An archive is taken in as the intake takes webhooks: each event once, with what it
// owes, on the lane bulk; what is known changes nothing, and the run says so.
func TestAnArchiveIsTakenInOnceAsWebhooksAre(t *testing.T) {
	t.Parallel()
	content := strings.Join([]string{
		body("e1", "RENEWAL", "ann", ofProduction+`,"subscriber_attributes":{"email":{"value":"ann@example.com"}}`),
		body("e2", "VIRTUAL_CURRENCY_TRANSACTION", "ann", `,"purchase_environment":"PRODUCTION"`),
		body("e1", "RENEWAL", "ann", ofProduction), // sent twice
		body("e3", "RENEWAL", "bob", `,"environment":"SANDBOX"`),
		body("e4", "RENEWAL", "tess", `,"environment":"SANDBOX"`),
		body("e5", "PAYWALL_IMPRESSION", "ann", ""),
		`{"received_at":"2026-02-01T10:00:00.5Z","headers":{"User-Agent":"RevenueCat"},"body":` + body("e6", "RENEWAL", "cat", ofProduction) + `}`,
	}, "\n")
	for name, path := range map[string]string{
		"plain": write(t, "a.jsonl", content), "gzip": write(t, "a.jsonl.gz", zipped(t, content)),
		"byte order mark, CRLF and blank lines": write(t, "b.jsonl", "\xef\xbb\xbf"+strings.ReplaceAll(content, "\n", "\r\n\r\n")+"\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			db := testenv.Postgres(t)
			run, err := runFeed(t.Context(), newFeedEngine(db), exports.Events, path)
			require.NoError(t, err)
			require.Equal(t, backfill.Counts{New: 6, Same: 1, Apart: 1, Bytes: run.BytesAll}, run.Counts)
			found := kept(t, db)
			require.Len(t, found, 6)
			require.Contains(t, found[1], `2026-03-01 12:00:00 2026-03-01 12:00:00 e1 accepted RENEWAL production`)
			require.Contains(t, found[1], `"email":"[redacted]"`)
			require.Contains(t, found[1], `access bulk .received ann store.webhook.received.v1 2026-03-01T12:00:00Z`)
			require.Contains(t, found[2], `mirror bulk`)
			require.Contains(t, found[3], `e3 refused_environment`)
			require.NotContains(t, found[3], "bulk")
			require.Contains(t, found[4], `access bulk`, "a tester's")
			require.NotContains(t, found[5], "bulk")
			require.Contains(t, found[0], `2026-02-01 10:00:00.5 2026-03-01 12:00:00 e6 accepted`)
			require.Contains(t, found[0], `{"User-Agent": "RevenueCat"}`)

			run, err = runFeed(t.Context(), newFeedEngine(db), exports.Events, path)
			require.NoError(t, err)
			require.Equal(t, backfill.Counts{Same: 7, Bytes: run.BytesAll}, run.Counts)
			require.Equal(t, found, kept(t, db))
		})
	}
}

// What the intake took before, or takes at the same time, is known to the archive.
func TestAnArchiveAndTheIntakeTakeEachEventOnce(t *testing.T) {
	t.Parallel()
	path := archiveOf(t, 300)
	db := testenv.Postgres(t)
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: newFeedEngine(db).Subscriptions})
	defer committer.Close()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	done := make(chan int)
	go func() {
		taken := 0
		for line := range strings.Lines(string(raw)) {
			received, tell, err := policy.Judge([]byte(strings.TrimSpace(line)))
			received.ID, received.ReceivedAt, received.Headers = outbox.NewID(), start, map[string]string{}
			if !assert.NoError(t, err) {
				break
			}
			result, err := committer.Commit(t.Context(), outbox.Effects{Guard: received, Events: tell(received.ID, start)})
			if assert.NoError(t, err) && result == outbox.Applied {
				taken++
			}
		}
		done <- taken
	}()
	run, err := runFeed(t.Context(), newFeedEngine(db), exports.Events, path)
	taken := <-done
	require.NoError(t, err)
	require.Equal(t, int64(300), run.Counts.New+int64(taken))
	for _, table := range []string{"webhook_events", "webhook_keys", "outbox"} {
		require.Equal(t, 300, count(t, db, "SELECT count(*) FROM "+table), table)
	}
}

// A line that is no webhook costs that line: it is named, with what to do.
func TestLinesThatAreNoWebhooksAreRejectedAndTheRestIsTaken(t *testing.T) {
	t.Parallel()
	good := func(id string) string { return body(id, "RENEWAL", "ann", ofProduction) }
	bad := []struct{ line, says string }{
		{"not json at all", "it is not JSON, from byte 2"},
		{`{"event":{"id":"x"`, "it is not JSON"},
		{"\x00" + good("x"), "a NUL byte stands in it"},
		{`{"id":"x","type":"RENEWAL"}`, "neither the member event"},
		{`{"body":"not an object"}`, "its member body is not the body of a webhook"},
		{`[` + good("x") + `]`, "neither the body of a webhook nor a line"},
		{`{"event":{"type":"RENEWAL"}}`, "id or type is missing"},
		{`{"event":{"id":"x","type":"RENEWAL","app_user_id":"a\u0000b"}}`, "a NUL stands in its id, type, environment or player"},
		{`{"event":{"id":"x","type":"RENEWAL","app_user_id":"` + "\xff" + `"}}`, "not UTF-8"},
		{good("x")[:20] + strings.Repeat("x", 10<<20), "longer than 2097152 bytes"},
		{`{"event":{"id":"x","type":"RENEWAL","aliases":["` + strings.Repeat("x", 3<<19) + `"]}}`, "more than 1048576 bytes"},
	}
	content := good("e0") + "\n"
	for i, b := range bad {
		content += b.line + "\n" + good(fmt.Sprint("e", i+1)) + "\n"
	}
	path := write(t, "a.jsonl", content)
	db := testenv.Postgres(t)
	engine, kept := newFeedEngine(db), &refusals{}
	engine.Refused = kept
	run, err := runFeed(t.Context(), engine, exports.Events, path)
	require.NoError(t, err)
	require.Equal(t, backfill.Done, run.State)
	require.Equal(t, backfill.Counts{New: int64(len(bad) + 1), Refused: int64(len(bad)), Bytes: run.BytesAll}, run.Counts)
	require.Len(t, kept.list, len(bad))
	for i, b := range bad {
		told := kept.list[i]
		require.Equal(t, int64(2*i+2), told.Line, b.says)
		require.Equal(t, path, told.File)
		require.Contains(t, told.Reason, b.says)
		require.NotEmpty(t, told.Remedy)
	}
}

// A file that is no archive, or is cut off, says so, where, and what to do.
func TestAFileThatIsNoArchiveSaysWhatToDo(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 3000 {
		many.WriteString(body(fmt.Sprint("e", i*7919), "RENEWAL", fmt.Sprint("p", i), ofProduction) + "\n")
	}
	whole := zipped(t, many.String())
	for name, c := range map[string]struct {
		file, content string
		says          []string
		taken         int // at least
	}{
		"truncated gzip": {"a.jsonl.gz", whole[:len(whole)/2], []string{"cut off", "copy or deliver the file again"}, 100},
		"a list":         {"list.jsonl", strings.Repeat("project;app_user_id\n", 200), []string{":100: none of its first 100 lines is a webhook", "one event per line"}, 0},
		"Parquet":        {"a.json", "PAR1....PAR1", []string{"Parquet", "archive of webhooks"}, 0},
		"zip":            {"a.json", "PK\x03\x04....", []string{"zip archive", "unpack it"}, 0},
		"UTF-16":         {"a.json", "\xff\xfe{\x00", []string{"UTF-16"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testenv.Postgres(t)
			run, err := runFeed(t.Context(), newFeedEngine(db), exports.Events, write(t, c.file, c.content))
			require.Error(t, err)
			for _, says := range append(c.says, c.file) {
				require.Contains(t, err.Error(), says)
			}
			require.Equal(t, backfill.Failed, run.State)
			require.GreaterOrEqual(t, count(t, db, "SELECT count(*) FROM webhook_events"), c.taken, "what comes before the cut is taken")
		})
	}
}

// A replay that is killed between any two commits ends as one that was not.
func TestAReplayKilledFiveTimesEndsAsOneThatWasNot(t *testing.T) {
	t.Parallel()
	path := archiveOf(t, 5000)
	clean := testenv.Postgres(t)
	_, err := runFeed(t.Context(), newFeedEngine(clean), exports.Events, path)
	require.NoError(t, err)
	t.Run("killed", func(t *testing.T) {
		db := testenv.Postgres(t)
		killed(t, db, exports.Events, path)
		requireSame(t, kept(t, clean), kept(t, db))
		require.Equal(t, 5000, count(t, db, "SELECT sum(row_new) FROM backfill_files"), "each line is counted once")
	})
}

// killed runs a backfill that is killed five times while it works.
func killed(t *testing.T, db *sqlx.DB, feed exports.Feed, path string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	kills := 0
	for done := false; !done; {
		process := exec.CommandContext(t.Context(), self, path)
		process.Env = append(os.Environ(), childURL+"="+testenv.PostgresURL(t), childFeed+"="+string(feed))
		process.Stderr = os.Stderr
		require.NoError(t, process.Start())
		const doneQuery = "SELECT coalesce(sum(row_done), 0) FROM backfill_files"
		before := count(t, db, doneQuery)
		if kills < 5 { // once it has committed something, so that all five hit a run under way
			require.Eventually(t, func() bool { return count(t, db, doneQuery) > before+40 }, time.Minute, time.Millisecond)
			require.NoError(t, process.Process.Kill())
			kills++
		}
		done = process.Wait() == nil
	}
	require.Equal(t, 5, kills)
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM backfill_runs WHERE state = 'done'"))
}

// Replays and lists are paused, resumed and cancelled by their rows, as backfills of
// transactions are.
func TestAReplayIsPausedResumedAndCancelledByItsRow(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	path, runs, engine := archiveOf(t, 300), backfill.Runs{DB: db}, newFeedEngine(db)
	paused := 0
	engine.Report = func(now backfill.Progress) {
		switch {
		case paused == 0:
			paused++
			assert.NoError(t, runs.Pause(t.Context(), now.Run.ID, "ann", "lunch"))
		case strings.HasPrefix(now.Waiting, "paused by ann"):
			done := count(t, db, "SELECT sum(row_done) FROM backfill_files")
			assert.Less(t, done, 300)
			assert.Equal(t, done, count(t, db, "SELECT count(*) FROM webhook_events"))
			assert.NoError(t, runs.Resume(t.Context(), now.Run.ID, "ann"))
		}
	}
	run, err := runFeed(t.Context(), engine, exports.Events, path)
	require.NoError(t, err)
	require.Equal(t, int64(300), run.Counts.New)

	engine.Report = func(now backfill.Progress) { assert.NoError(t, runs.Cancel(t.Context(), now.Run.ID, "ann", "")) }
	run, err = runFeed(t.Context(), engine, exports.Events, path)
	require.ErrorIs(t, err, backfill.ErrCancelled)
	require.Less(t, run.Counts.Rows(), int64(300))
}

// The filter looks at what an event says of itself.
func TestAReplayTakesOnlyWhatIsWishedFor(t *testing.T) {
	t.Parallel()
	path := archiveOf(t, 300)
	at := time.UnixMilli(1772366400000)
	for name, c := range map[string]struct {
		filter backfill.Filter
		want   int64
	}{
		"player":  {backfill.Filter{Players: []string{"player-7"}}, 6},
		"type":    {backfill.Filter{Products: []string{"RENEWAL"}}, 100},
		"since":   {backfill.Filter{Since: at.Add(time.Second)}, 0},
		"in time": {backfill.Filter{Since: at, Until: at.Add(time.Second)}, 300},
		"until":   {backfill.Filter{Until: at}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, err := runCommand(t.Context(), newFeedEngine(testenv.Postgres(t)), backfill.Command{Feed: exports.Events, URLs: []string{path}, Filter: c.filter})
			require.NoError(t, err)
			require.Equal(t, c.want, run.Counts.New)
			require.Equal(t, 300-c.want, run.Counts.Skipped)
		})
	}
}

// A preview says what the run then does, and changes nothing.
func TestAPreviewOfAnArchiveChangesNothingAndIsRight(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	known := archiveOf(t, 30)
	_, err := runFeed(t.Context(), newFeedEngine(db), exports.Events, known)
	require.NoError(t, err)
	before := kept(t, db)
	content := body("new-1", "RENEWAL", "ann", ofProduction) + "\n" + body("new-2", "RENEWAL", "ann", `,"environment":"SANDBOX"`) + "\nbad\n" + body("new-1", "RENEWAL", "ann", ofProduction) + "\n"
	files := []string{archiveOf(t, 40), write(t, "more.jsonl", content), write(t, "again.jsonl", content)}
	command := backfill.Command{Feed: exports.Events, URLs: files}
	found, err := exports.Find(t.Context(), files, exports.Events)
	require.NoError(t, err)
	var told []backfill.Previewed
	preview := backfill.Preview{DB: db, Judge: policy.Judge, Now: func() time.Time { return start }, Each: func(p backfill.Previewed) error {
		told = append(told, p)
		return nil
	}}
	answer, err := preview.Run(t.Context(), command, found.Files)
	require.NoError(t, err)
	require.Equal(t, before, kept(t, db))
	require.Len(t, told, 12)
	require.Equal(t, map[string]int64{"RENEWAL": 6, "NON_RENEWING_PURCHASE": 3, "VIRTUAL_CURRENCY_TRANSACTION": 3}, answer.By)
	run, err := runCommand(t.Context(), newFeedEngine(db), command)
	require.NoError(t, err)
	require.Equal(t, run.Counts, answer.Counts)
	raw, err := json.Marshal(answer)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"apart":1`)
}
