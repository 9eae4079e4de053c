package purchases_test

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// taken decides to record a fact and to fold its customer at once, as the consumer
// access does.
func (b *books) taken(t *testing.T, fact economy.PurchaseFact, now int, groups ...[]string) outbox.Effects {
	t.Helper()
	told, err := b.store.Told(t.Context(), fact.Key, groups, fact.AppUserID)
	require.NoError(t, err)
	merge, err := purchases.Merge(told.Known, fact, events.Store, hour(now))
	require.NoError(t, err)
	h, ok, err := told.After(merge.Guard.(purchases.Merged))
	require.NoError(t, err)
	require.True(t, ok)
	bought := h.Bought(func(purchases.Recorded) (economy.Package, int64, bool) { return premium, 7, true }, false)
	effects := h.Take(merge, bought, economy.Fold(h.Customer, bought), events.Store, hour(now))
	for _, group := range told.Unlinked {
		effects.Rows = append(effects.Rows, purchases.Aliases(group, "evt", hour(now))...)
	}
	effects.ID = outbox.NewID()
	return effects
}

// A fold of an alias alone that began before the link, and is committed while the
// customer of both is folded, is found: nothing is brought twice.
func TestAnAliasThatIsFoldedMeanwhileIsCountedOnce(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{false, true} {
		t.Run(fmt.Sprintf("it was folded before: %t", before), func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			b.record(t, sold("t1", "zoe", 1))
			if before {
				b.fold(t, "zoe", 2)
				b.record(t, sold("t2", "zoe", 2))
			}
			alone := b.prepared(t, "zoe", 3)
			b.link(t, purchases.Aliases([]string{"zoe", "ann"}, "evt", hour(4))...)
			both := b.prepared(t, "ann", 5)
			require.Equal(t, outbox.Applied, b.commit(t, alone))
			require.Equal(t, outbox.Stale, b.commit(t, both))
			b.fold(t, "ann", 6)
			b.fold(t, "ann", 7)
			brought := b.count(t, "SELECT count(*) FROM purchases")
			require.Equal(t, 2*brought, b.count(t, "SELECT count(*) FROM purchase_grants"))
			require.Equal(t, 1, b.count(t, "SELECT count(*) FROM accesses WHERE state = 'granted'"))
			require.Equal(t, 1, b.count(t, "SELECT count(*) FROM customers WHERE absorbed AND customer_id = 'zoe'"))
		})
	}
}

// What is said of a purchase and what it brings are one commit, and both or none of
// it is written.
func TestAPurchaseIsMergedAndFoldedInOneCommit(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	first := b.taken(t, sold("t1", "ann", 1), 2, []string{"ann", "$RCAnonymousID:1"})
	late := b.taken(t, sold("t1", "ann", 1), 2, []string{"ann", "$RCAnonymousID:1"})
	require.Equal(t, outbox.Applied, b.commit(t, first))
	require.Equal(t, outbox.Applied, b.commit(t, first), "the same commit, whose answer was lost")
	require.Equal(t, outbox.Stale, b.commit(t, late))
	require.Equal(t, "premium by t1 chest", b.holds(t, "$RCAnonymousID:1", 3))
	require.Equal(t, 7, b.count(t, "SELECT catalog_version FROM purchases"))
	require.Zero(t, b.count(t, "SELECT count(*) FROM outbox"), "nobody else is to be told")

	// The purchase moves on, its customer does not: nothing of the effects is written.
	refund := b.taken(t, refunded("t1", 5), 5)
	reversed := refunded("t1", 9)
	reversed.Kind, reversed.By, reversed.Refund = economy.FactReversed, "reversed", &economy.Refund{Reversed: true}
	b.record(t, reversed)
	require.Equal(t, outbox.Stale, b.commit(t, refund))
	require.Equal(t, 2, b.count(t, "SELECT count(*) FROM purchase_versions"))
	require.Equal(t, 2, b.count(t, "SELECT count(*) FROM purchase_grants"))

	// The customer moves on, the purchase does not: the same.
	refund = b.taken(t, refunded("t1", 10), 10)
	b.fold(t, "ann", 10)
	require.Equal(t, outbox.Stale, b.commit(t, refund))
	require.Equal(t, "premium by t1 chest", b.holds(t, "ann", 11))
	require.Equal(t, outbox.Applied, b.commit(t, b.taken(t, refunded("t1", 10), 11)))
	require.Empty(t, b.holds(t, "ann", 12))
	require.Equal(t, 7, b.count(t, "SELECT catalog_version FROM purchases"), "the first one stays")
}

// Whom a purchase concerns beside its customer is told, whoever is folded at once.
func TestWhoElseIsConcernedIsFoldedByAnEvent(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, sold("t1", "ann", 1))
	b.fold(t, "ann", 1)
	require.Equal(t, 1, b.count(t, "SELECT count(*) FROM outbox WHERE event_id LIKE '%.changed'"))
	moved := sold("t1", "bob", 5) // the store names somebody else by now
	moved.By, moved.Buyer = "moved", "ann"
	effects := b.taken(t, moved, 6)
	require.Len(t, effects.Events, 1)
	require.Equal(t, "ann", effects.Events[0].AppUserID)
	require.Equal(t, events.StoreCustomerChangedV1, effects.Events[0].Type)
	require.Equal(t, outbox.Applied, b.commit(t, effects))
	b.fold(t, "ann", 7)
	require.Equal(t, "premium by t1 chest", b.holds(t, "bob", 8))
	require.Empty(t, b.holds(t, "ann", 8))
}

// Many histories that are asked for at once are read together, each as if alone, and
// one that cannot be asked for fails nobody else.
func TestHistoriesAreReadTogether(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	const users = 30
	want := map[string]purchases.History{}
	for i := range users {
		user := fmt.Sprint("user-", i)
		b.record(t, sold(fmt.Sprint("t", i), user, i), sold(fmt.Sprint("u", i), user, i+1))
		b.link(t, purchases.Aliases([]string{user, "$RCAnonymousID:" + user}, "evt", hour(4))...)
		b.fold(t, user, 100)
		h, err := b.store.History(t.Context(), user)
		require.NoError(t, err)
		require.Len(t, h.Purchases, 2)
		require.Len(t, h.Lines, 4)
		want[user] = h
	}
	var asking sync.WaitGroup
	for range 4 {
		for user, alone := range want {
			asking.Go(func() {
				h, err := b.store.History(t.Context(), user)
				if err != nil || !equalHistories(alone, h) {
					t.Errorf("%s: %v\n%+v\n%+v", user, err, alone, h)
				}
			})
		}
		asking.Go(func() {
			_, err := b.store.History(t.Context(), "nobody\x00")
			var data *outbox.DataError
			if !errors.As(err, &data) {
				t.Errorf("an id that no column can hold: %v", err)
			}
		})
	}
	asking.Wait()
}

// equalHistories compares histories; the order of purchases and lines says nothing.
func equalHistories(a, b purchases.History) bool {
	for _, h := range []*purchases.History{&a, &b} {
		h.Purchases, h.Lines = slices.Clone(h.Purchases), slices.Clone(h.Lines)
		slices.SortFunc(h.Purchases, func(a, b purchases.Recorded) int { return economy.ComparePurchaseKeys(a.Key, b.Key) })
		slices.SortFunc(h.Lines, func(a, b economy.GrantLine) int {
			return cmp.Or(economy.ComparePurchaseKeys(a.Purchase, b.Purchase), cmp.Compare(a.Kind, b.Kind))
		})
	}
	return reflect.DeepEqual(a, b)
}
