package operations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/outbox"
)

func TestABackfillIsMovedWithItsLineInTheAudit(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := outbox.NewID()
	_, err := o.db.Exec(`INSERT INTO backfill_runs (id, started_at, touched_at, feed, state, started_by, fingerprint, command)
		VALUES ($1, now(), now(), 'transactions', 'running', 'anna', 'f', '{}')`, id)
	require.NoError(t, err)
	move := func(deed operations.Deed) error { return o.MoveBackfill(t.Context(), alice, "a test", deed, id) }
	state := func() (text string) {
		require.NoError(t, o.db.Get(&text, "SELECT state || ' ' || changed_by || ' ' || reason FROM backfill_runs WHERE id = $1", id))
		return text
	}
	require.NoError(t, move(operations.DeedPauseBackfill))
	require.Equal(t, "paused alice a test", state())
	refusedBy(t, move(operations.DeedPauseBackfill), "paused")
	require.NoError(t, move(operations.DeedResumeBackfill))
	require.Equal(t, "running alice ", state())
	require.NoError(t, move(operations.DeedCancelBackfill))
	refusedBy(t, move(operations.DeedResumeBackfill), "cancelled")
	require.Equal(t, "cancelled alice a test", state())
	require.Equal(t, []operations.Deed{operations.DeedPauseBackfill, operations.DeedResumeBackfill, operations.DeedCancelBackfill}, o.acts(t, id))
	require.ErrorIs(t, o.MoveBackfill(t.Context(), alice, "a test", operations.DeedPauseBackfill, outbox.NewID()), operations.ErrNotFound)
	require.ErrorIs(t, o.MoveBackfill(t.Context(), alice, "a test", operations.DeedPauseBackfill, "nonsense"), operations.ErrNotFound)
	var input *operations.InputError
	require.ErrorAs(t, o.MoveBackfill(t.Context(), alice, " ", operations.DeedPauseBackfill, id), &input)
}
