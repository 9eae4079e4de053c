package purchases_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// Only who bought what the new catalogue has is folded again, some at a time, and not
// while that is owed or an operator has to look at it.
func TestWhoBoughtWhatTheCatalogueHasByNowIsFoundOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for i := range 6 {
		fact := sold(fmt.Sprint("t", i), fmt.Sprint("user-", i), i)
		fact.Product = []string{"novelty", "nowhere"}[i%2]
		b.record(t, fact)
	}
	plan := sold("google", "zoe", 1)
	plan.Key.Store, plan.Product = economy.PlayStore, "novelty:monthly"
	nameless := sold("nameless", "", 1)
	nameless.Product = "novelty"
	b.record(t, plan, nameless)
	catalog := economy.Catalog{Version: 1, Packages: map[string]economy.Package{"n": {ID: "n", Products: map[economy.Store][]string{
		economy.AppStore: {"novelty"}, economy.PlayStore: {"novelty"},
	}}}}
	found := func(limit int) (ids []string) {
		t.Helper()
		list, err := b.store.Unfolded(t.Context(), catalog, hour(9), limit)
		require.NoError(t, err)
		for _, event := range list {
			ids = append(ids, event.AppUserID)
		}
		return ids
	}
	require.ElementsMatch(t, []string{"user-0", "user-2", "user-4", "zoe"}, found(10))
	require.Len(t, found(3), 3)

	list, err := b.store.Unfolded(t.Context(), catalog, hour(9), 10)
	require.NoError(t, err)
	_, err = b.db.Exec("INSERT INTO catalog_versions (fingerprint, body) VALUES ('f', '{}')")
	require.NoError(t, err)
	require.Equal(t, outbox.Stale, b.commit(t, outbox.Effects{Guard: purchases.StillCurrent{Version: 2}, Events: list}))
	require.Len(t, found(10), 4, "another version was loaded since: nothing was sent")
	require.Equal(t, outbox.Applied, b.commit(t, outbox.Effects{Guard: purchases.StillCurrent{Version: 1}, Events: list}))
	require.Empty(t, found(10), "they are owed")
	_, err = b.db.Exec(`WITH gone AS (DELETE FROM outbox WHERE event_id LIKE '%.customer' RETURNING *)
		INSERT INTO dead_letters (event_id, consumer, lane, subject, payload, attempts, error) SELECT event_id, consumer, lane, subject, 'x', 1, 'x' FROM gone`)
	require.NoError(t, err)
	require.Empty(t, found(10), "an operator looks at them")
	for i := range 5 {
		fact := sold(fmt.Sprint("more", i), fmt.Sprint("more-", i/3), i)
		fact.Product = "novelty"
		b.record(t, fact)
	}
	require.Len(t, found(1), 1, "they are in nobody's way")
	require.ElementsMatch(t, []string{"more-0", "more-1"}, found(2))
	list, err = b.store.Unfolded(t.Context(), catalog, hour(9), 1)
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, b.commit(t, outbox.Effects{Guard: purchases.StillCurrent{Version: 1}, Events: list}))
	require.Empty(t, found(1), "one is owed: no more at once")
	require.Len(t, found(2), 1)
	_, err = b.db.Exec("UPDATE dead_letters SET resolved_at = now(), resolution = 'x'")
	require.NoError(t, err)
	require.Len(t, found(10), 5, "one of the six is owed")

	unknown, err := b.store.Unknown(t.Context(), catalog)
	require.NoError(t, err)
	require.Equal(t, []purchases.UnknownProduct{{Store: "app_store", Product: "nowhere", Purchases: 3}}, unknown)
}
