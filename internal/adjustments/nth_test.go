package adjustments_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/outbox"
)

// A process of the version before gives its adjustments no number, and relies on the
// database to open no second one.
func TestAPlayerHasOneOpenAdjustmentWhicheverVersionBindsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bind := func(player string) (bound int64) {
		result, err := w.db.Exec(`INSERT INTO adjustments (id, app_user_id, purpose, idempotency_key, body, deltas, leased_by, leased_until, opened_at, change_id, state)
			VALUES ($1, $2, 'charge', $3, '{}', '{"GEM": -1}', 'old', now(), now(), $1, 'open') ON CONFLICT DO NOTHING`, outbox.NewID(), player, outbox.NewID())
		require.NoError(t, err)
		bound, err = result.RowsAffected()
		require.NoError(t, err)
		return bound
	}
	settle := func() {
		_, err := w.db.Exec("UPDATE adjustments SET state = 'applied', settled_at = now() WHERE state = 'open'")
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, bind("p"))
	require.EqualValues(t, 0, bind("p"), "one is open")
	require.EqualValues(t, 1, bind("q"))
	settle()
	require.EqualValues(t, 1, bind("p"))
	settle()

	w.accept("p", "k", 1)
	_, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	require.EqualValues(t, 1, bind("p"))
	var numbers []int64
	require.NoError(t, w.db.Select(&numbers, "SELECT nth FROM adjustments WHERE app_user_id = 'p' ORDER BY seq"))
	require.Equal(t, []int64{1, 2, 3, 4}, numbers, "without a gap, and each once")
	_, err = w.db.Exec("UPDATE adjustments SET nth = 3 WHERE nth = 4")
	require.ErrorContains(t, err, "adjustments_app_user_id_nth_key")
}
