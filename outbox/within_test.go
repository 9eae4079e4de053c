package outbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// What is written within a transaction is what a commit of each would be, and is there
// when the transaction is, or not at all.
func TestEffectsWithinATransactionShareItsFate(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	known := newSpend("ann", "known")
	_, err := committer(t, db, nil).Commit(t.Context(), accept(known))
	require.NoError(t, err)
	again, fresh := newSpend("ann", "known"), newSpend("bob", "fresh")
	count := func(query string) (n int) {
		t.Helper()
		require.NoError(t, db.Get(&n, query))
		return n
	}
	for _, commit := range []bool{false, true} {
		tx, err := db.Beginx()
		require.NoError(t, err)
		results, err := outbox.Within(t.Context(), tx, subscriptions, []outbox.Effects{accept(again), accept(fresh), declineMove(known)})
		require.NoError(t, err)
		require.Equal(t, []outbox.Result{outbox.Duplicate, outbox.Applied, outbox.Applied}, results)
		require.Equal(t, 1, count("SELECT count(*) FROM spends"), "nobody sees it yet")
		if !commit {
			require.NoError(t, tx.Rollback())
			require.Equal(t, []int{1, 1}, []int{count("SELECT count(*) FROM spends"), count("SELECT count(*) FROM outbox")})
			continue
		}
		require.NoError(t, tx.Commit())
		require.Equal(t, []int{2, 2}, []int{count("SELECT count(*) FROM spends"), count("SELECT count(*) FROM outbox")})
	}
	tx, err := db.Beginx()
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback()) }()
	results, err := outbox.Within(t.Context(), tx, subscriptions, nil)
	require.NoError(t, err)
	require.Empty(t, results)
	_, err = outbox.Within(t.Context(), tx, outbox.Subscriptions{}, []outbox.Effects{accept(newSpend("cat", "k"))})
	require.ErrorContains(t, err, "no consumer is declared")
}
