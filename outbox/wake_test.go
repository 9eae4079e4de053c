package outbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// Only what is parked for the reason that has ended, and for that consumer, comes back
// before its time.
func TestWakeMakesDueWhatWaitsForTheReason(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	for _, row := range []struct{ id, consumer, published, why string }{
		{"waits", "fulfil", "NULL", "endpoint game: answered 503"},
		{"for another endpoint", "fulfil", "NULL", "endpoint games: answered 503"},
		{"of another consumer", "adjust", "NULL", "endpoint game: answered 503"},
		{"in the broker", "fulfil", "now()", "endpoint game: answered 503"},
	} {
		_, err := db.Exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload, due_at, last_error, published_at)
			VALUES ($1, $2, 'live', 's', '{}', now() + interval '1 hour', $3, `+row.published+`)`, row.id, row.consumer, row.why)
		require.NoError(t, err)
	}
	n, err := outbox.Wake(t.Context(), db, "fulfil", "endpoint game: ")
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	var due []string
	require.NoError(t, db.Select(&due, "SELECT event_id FROM outbox WHERE due_at <= now()"))
	require.Equal(t, []string{"waits"}, due)
}
