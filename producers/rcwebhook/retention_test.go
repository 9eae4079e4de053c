package rcwebhook

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/purchases"
)

// Bodies go first, then rows, and keys a year old with them; what a delivery still
// needs stays until it is done.
func TestWebhooksGoByAgeAndWhatIsOwedStays(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := start
	b := setup(t, func(c *Config) { c.Now = func() time.Time { return now }; c.Proof.Secrets = nil })
	const many = chunk + 7
	for i := range many {
		require.Equal(t, http.StatusOK, b.do(t, webhook(event(fmt.Sprint(i), "TEST", ""))).Code)
	}
	for _, kind := range []string{"RENEWAL", "VIRTUAL_CURRENCY_TRANSACTION", "EXPIRATION"} { // owed, owed, and a dead letter
		require.Equal(t, http.StatusOK, b.do(t, webhook(event(kind, kind, purchase))).Code)
	}
	_, err := b.db.Exec(`WITH o AS (DELETE FROM outbox WHERE event_id = (SELECT id || '.received' FROM webhook_events WHERE type = 'EXPIRATION') RETURNING *)
		INSERT INTO dead_letters (event_id, consumer, lane, subject, payload, attempts, error) SELECT event_id, consumer, lane, subject, '', 1, 'x' FROM o`)
	require.NoError(t, err)
	now = start.Add(20 * day)
	require.Equal(t, http.StatusOK, b.do(t, webhook(event("later", "TEST", ""))).Code)
	retention := Retention{Store: purchases.NewStore(b.db), Bodies: 30 * day, Rows: 100 * day, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	left := func() []int {
		t.Helper()
		for range 2 { // the second finds nothing to do
			require.NoError(t, retention.Sweep(t.Context()))
		}
		return []int{
			b.count(t, "SELECT count(*) FROM webhook_events WHERE body IS NOT NULL"), b.count(t, "SELECT count(*) FROM webhook_events"),
			b.count(t, "SELECT count(*) FROM webhook_keys"),
		}
	}
	const all = many + 4
	now = start.Add(30 * day)
	require.Equal(t, []int{all, all, all}, left(), "a day of grace would be one too many: nothing is older yet")
	now = start.Add(30*day + time.Microsecond)
	require.Equal(t, []int{4, all, all}, left())
	now = start.Add(101 * day)
	require.Equal(t, []int{3, 4, all}, left(), "what is owed, what an operator may replay, and the later one's row")
	_, err = b.db.Exec("DELETE FROM outbox")
	require.NoError(t, err)
	_, err = b.db.Exec("UPDATE dead_letters SET resolved_at = now()")
	require.NoError(t, err)
	retention.Rows = 0
	require.Equal(t, []int{0, 4, all}, left(), "0 is never")
	now, retention.Rows = start.Add(367*day), 100*day
	require.Equal(t, []int{0, 0, all - 3}, left(), "keys go with rows when they are a year old")
	require.Equal(t, http.StatusOK, b.do(t, webhook(event("later", "TEST", ""))).Code)
	require.Equal(t, 0, b.count(t, "SELECT count(*) FROM webhook_events"), "a replay is known long after its row is gone")
}

func TestTheLastWebhookIsKnownOverARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	store := purchases.NewStore(b.db)
	last, err := store.LastWebhook(t.Context())
	require.NoError(t, err)
	require.True(t, last.IsZero())
	require.Equal(t, http.StatusOK, b.do(t, webhook(event("e", "TEST", ""))).Code)
	last, err = store.LastWebhook(t.Context())
	require.NoError(t, err)
	require.True(t, last.Equal(start), last)
}
