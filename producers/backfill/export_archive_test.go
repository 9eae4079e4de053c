package backfill_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// What a store keeps of webhooks, another one keeps after a round by an archive: byte
// for byte, but for our own ids, and for the space in a body that is not on one line
// alone. Twice is once.
func TestAnExportTakenInElsewhereKeepsTheSameWebhooks(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: newFeedEngine(db).Subscriptions})
	defer committer.Close()
	bodies := []string{
		body("e1", "RENEWAL", "ann", ofProduction),
		body("e2", "RENEWAL", "bob", ofProduction+`,"subscriber_attributes":{"email":{"value":"bob@example.com"}}`),
		body("e3", "VIRTUAL_CURRENCY_TRANSACTION", "ann", `,"purchase_environment":"PRODUCTION"`),
		"{ \"event\" :\r\n {\"id\":\"e4\",\"type\":\"RENEWAL\",\"aliases\":[\"ann\"],\"x\":\"<&>\u2028\"} }\n", // on several lines
		body("e5", "RENEWAL", "bob", `,"environment":"SANDBOX"`),
		"no event",
		body("e6", "RENEWAL", "cleared", ofProduction),
	}
	for i, raw := range bodies {
		at := start.Add(time.Duration(i/2) * time.Second) // two at once
		received, tell, err := policy.Judge([]byte(raw))
		if err != nil {
			received = purchases.Received{EventKey: purchases.BodyKey([]byte(raw)), Verdict: purchases.Undecodable, Error: err.Error(), Body: []byte(raw)}
		}
		received.ID, received.ReceivedAt, received.Headers = outbox.NewID(), at, map[string]string{"User-Agent": fmt.Sprint("RevenueCat/", i)}
		effects := outbox.Effects{Guard: received}
		if err == nil {
			effects.Events = tell(received.ID, at)
		}
		_, err = committer.Commit(t.Context(), effects)
		require.NoError(t, err)
	}
	_, err := db.Exec("UPDATE webhook_events SET body = NULL WHERE event_key = 'e6'")
	require.NoError(t, err)

	var archive bytes.Buffer
	wrote, err := (&backfill.Export{DB: db}).Write(t.Context(), &archive)
	require.NoError(t, err)
	require.Equal(t, backfill.Exported{Events: 5, First: start, Last: start.Add(2 * time.Second), Cleared: 1, Undecodable: 1}, wrote)
	require.NotContains(t, archive.String(), "example.com")
	require.Equal(t, 5, strings.Count(archive.String(), "\n"), "each on one line")
	for i, line := range strings.Split(strings.TrimSpace(archive.String()), "\n") {
		require.Contains(t, line, fmt.Sprintf(`"event_id":"e%d"`, i+1), "in the order of arrival")
	}

	require.NotContains(t, archive.String(), "base64", "jq -c .body shows them all")
	require.Contains(t, archive.String(), `"body":{"event":{"id":"e4","type":"RENEWAL","aliases":["ann"],"x":"<&>`+"\u2028"+`"}}}`)

	path := write(t, "archive.jsonl", archive.String())
	const query = `SELECT to_jsonb(w) - 'id' - 'body' || jsonb_build_object('body', CASE event_key WHEN 'e4' THEN convert_from(w.body, 'UTF8')::json #>> '{event,x}'
		ELSE encode(w.body, 'hex') END)::text AS line FROM webhook_events w WHERE body IS NOT NULL AND verdict <> 'undecodable'`
	want := lines(t, db, query)
	t.Run("elsewhere", func(t *testing.T) {
		other := testenv.Postgres(t)
		engine := newFeedEngine(other)
		engine.Now = func() time.Time { return start.Add(time.Hour) }
		for round, counts := range []backfill.Counts{{New: 5, Apart: 1}, {Same: 5}} {
			run, err := runFeed(t.Context(), engine, exports.Events, path)
			require.NoError(t, err)
			counts.Bytes = run.BytesAll
			require.Equal(t, counts, run.Counts, round)
			requireSame(t, want, lines(t, other, query))
		}
		var again bytes.Buffer
		_, err := (&backfill.Export{DB: other}).Write(t.Context(), &again)
		require.NoError(t, err)
		require.Equal(t, archive.String(), again.String())
	})
}

// Time, type and player choose; pages have no seams.
func TestAnExportHasWhatIsWishedFor(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	_, err := runFeed(t.Context(), newFeedEngine(db), exports.Events, archiveOf(t, 900))
	require.NoError(t, err)
	_, err = db.Exec("UPDATE webhook_events SET received_at = $1::timestamptz + right(event_key, 5)::int / 300 * interval '1 second'", start)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		export backfill.Export
		want   int64
	}{
		"all":    {backfill.Export{}, 900},
		"since":  {backfill.Export{Since: start.Add(time.Second)}, 600},
		"until":  {backfill.Export{Until: start.Add(time.Second)}, 300},
		"type":   {backfill.Export{Types: []string{"RENEWAL", "NON_RENEWING_PURCHASE"}}, 600},
		"player": {backfill.Export{Players: []string{"player-3"}}, 18},
	} {
		t.Run(name, func(t *testing.T) {
			c.export.DB = db
			var archive bytes.Buffer
			wrote, err := c.export.Write(t.Context(), &archive)
			require.NoError(t, err)
			require.Equal(t, c.want, wrote.Events)
			seen := map[string]bool{}
			for line := range strings.Lines(archive.String()) {
				seen[line] = true
			}
			require.Len(t, seen, int(c.want))
		})
	}
}
