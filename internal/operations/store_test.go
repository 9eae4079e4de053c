package operations_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// keep keeps a webhook as if its event had been acted on long ago.
func (o *office) keep(t *testing.T, key, kind string, verdict purchases.Verdict) string {
	t.Helper()
	id := outbox.NewID()
	_, err := o.committer.Commit(t.Context(), outbox.Effects{Guard: purchases.Received{
		ID: id, EventKey: key, ReceivedAt: time.Now(), Type: kind, Environment: "production", Verdict: verdict,
		Body: fmt.Appendf(nil, `{"api_version":"1.0","event":{"id":%q,"type":%q,"app_user_id":"p"}}`, key, kind),
	}})
	require.NoError(t, err)
	return id
}

func TestKeptWebhooksAreReplayedByFilter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i := range 130 { // more than a page
		o.keep(t, fmt.Sprint("renewal-", i), "RENEWAL", purchases.Accepted)
	}
	moved := o.keep(t, "moved", "VIRTUAL_CURRENCY_TRANSACTION", purchases.Accepted)
	o.keep(t, "test", "TEST", purchases.Accepted)
	o.keep(t, "elsewhere", "RENEWAL", purchases.RefusedEnvironment)
	cleared := o.keep(t, "cleared", "RENEWAL", purchases.Accepted)
	_, err := o.db.Exec("UPDATE webhook_events SET body = NULL WHERE id = $1", cleared)
	require.NoError(t, err)

	var bad *operations.InputError
	_, err = o.ReplayWebhooks(t.Context(), alice, "all of them", operations.WebhookFilter{})
	require.ErrorAs(t, err, &bad)
	renewals := operations.WebhookFilter{From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour), Type: "RENEWAL"}
	n, err := o.CountWebhooks(t.Context(), renewals)
	require.NoError(t, err)
	require.Equal(t, 130, n)
	for range 2 { // a second time changes nothing: they are owed still
		many, err := o.ReplayWebhooks(t.Context(), alice, "release 7 reads them", renewals)
		require.NoError(t, err)
		require.Equal(t, operations.Many{Done: 130}, many)
		require.Equal(t, 130, o.count(t, "SELECT count(*) FROM outbox WHERE consumer = 'access'"))
	}
	many, err := o.ReplayWebhooks(t.Context(), alice, "one", operations.WebhookFilter{ID: "moved"})
	require.NoError(t, err)
	require.Equal(t, operations.Many{Done: 1}, many)
	require.Equal(t, 1, o.count(t, "SELECT count(*) FROM outbox WHERE event_id = $1 || '.moved' AND consumer = 'mirror'", moved))
	many, err = o.ReplayWebhooks(t.Context(), alice, "nobody's", operations.WebhookFilter{ID: "test"})
	require.NoError(t, err)
	require.Equal(t, operations.Many{Refused: 1}, many)
	require.Equal(t, 5, o.count(t, "SELECT count(*) FROM operator_acts"))
}

// TestGapsAreResolvedWithTheirLineInTheAudit, in one commit: the line counts them.
func TestGapsAreResolvedWithTheirLineInTheAudit(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, cause := range []string{"outage", "silence", "outage"} {
		at := begin.Add(time.Duration(i) * time.Hour)
		_, err := o.DB.Exec("INSERT INTO webhook_gaps (from_at, until_at, found_at, cause) VALUES ($1, $2, now(), $3)", at, at.Add(90*time.Minute), cause)
		require.NoError(t, err)
	}
	resolve := func() int64 {
		n, err := o.ResolveGaps(t.Context(), alice, "an outage", begin, begin.Add(2*time.Hour), "resync of 3 players", map[string]any{"wished": 3})
		require.NoError(t, err)
		return n
	}
	require.EqualValues(t, 2, resolve(), "of the silence what is over; not the outage that goes on beyond")
	require.Zero(t, resolve())
	acts, err := o.Acts(t.Context(), operations.ActFilter{Deed: operations.DeedResolveGaps})
	require.NoError(t, err)
	require.Len(t, acts, 2)
	require.JSONEq(t, `{"wished": 3, "gaps_resolved": 2}`, string(acts[1].After))
	require.Equal(t, 2, o.count(t, "SELECT count(*) FROM webhook_gaps WHERE resolution = 'resync of 3 players'"))

	// A line that cannot be written resolves nothing.
	_, err = o.DB.Exec("ALTER TABLE operator_acts ADD CHECK (reason <> 'refused') NOT VALID")
	require.NoError(t, err)
	_, err = o.ResolveGaps(t.Context(), alice, "refused", begin, begin.Add(9*time.Hour), "resync", nil)
	require.Error(t, err)
	require.Equal(t, 1, o.count(t, "SELECT count(*) FROM webhook_gaps WHERE resolved_at IS NULL"))
}

func TestAResyncIsAWishAndALineInTheAudit(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	wish, err := o.Resync(t.Context(), alice, "ticket 17", "p")
	require.NoError(t, err)
	require.Equal(t, 1, o.count(t, "SELECT count(*) FROM outbox WHERE event_id = $1 AND consumer = 'resync'", wish.ID))
	acts, err := o.Acts(t.Context(), operations.ActFilter{Player: "p", Deed: "customer", Who: "alice", Since: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.Len(t, acts, 1)
	older, err := o.Acts(t.Context(), operations.ActFilter{Before: acts[0].ID})
	require.NoError(t, err)
	require.Empty(t, older)
	_, err = o.Resync(t.Context(), alice, "", "p")
	require.ErrorContains(t, err, "say why")
	require.NoError(t, o.Note(t.Context(), alice, "an outage", operations.DeedResyncWebhooks, "webhooks", nil, map[string]any{"wished": 3}))
	require.Equal(t, []operations.Deed{operations.DeedResyncWebhooks}, o.acts(t, "webhooks"))
}
