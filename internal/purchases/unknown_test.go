package purchases_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
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
	for i := range 6 {
		b.fold(t, fmt.Sprint("user-", i), 8)
	}
	b.fold(t, "zoe", 8)
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
		b.fold(t, fact.AppUserID, 9)
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

// novelty is the catalogue once it has what nobody knew.
var novelty = economy.Catalog{Version: 8, Packages: map[string]economy.Package{"n": {ID: "n", Products: map[economy.Store][]string{economy.AppStore: {"novelty"}}}}}

// soldNovelty says that a user bought what the catalogue of the fold does not have.
func soldNovelty(id, user string) economy.PurchaseFact {
	fact := sold(id, user, 1)
	fact.Product = "novelty"
	return fact
}

// foldWith folds a player with a catalogue.
func (b *books) foldWith(t *testing.T, catalog economy.Catalog, user string, now int) {
	t.Helper()
	h, err := b.store.History(t.Context(), user)
	require.NoError(t, err)
	bought := h.Bought(func(r purchases.Recorded) (economy.Package, int64, bool) {
		bundle, ok := catalog.PackageOf(r.Key.Store, r.Product.Value)
		return bundle, catalog.Version, ok
	}, false)
	require.Equal(t, outbox.Applied, b.commit(t, h.Effects(bought, economy.Fold(h.Customer, bought), hour(now))))
}

// lacked returns what a catalogue without any package lacks.
func (b *books) lacked(t *testing.T) []purchases.UnknownProduct {
	t.Helper()
	list, err := b.store.Unknown(t.Context(), economy.Catalog{Version: 7})
	require.NoError(t, err)
	return list
}

// unfolded returns whom a catalogue that has the novelty has folded again.
func (b *books) unfolded(t *testing.T) (ids []string) {
	t.Helper()
	list, err := b.store.Unfolded(t.Context(), novelty, hour(9), 10)
	require.NoError(t, err)
	for _, event := range list {
		ids = append(ids, event.AppUserID)
	}
	return ids
}

// What a backfill brought and nobody folded yet is neither missing in the catalogue nor
// folded a second time; whoever counts all of it says so.
func TestAPurchaseThatIsNotFoldedYetIsNotUnknown(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, soldNovelty("t1", "ann"), soldNovelty("t2", "bob"), sold("t3", "ann", 1))
	require.Empty(t, b.lacked(t))
	require.Empty(t, b.unfolded(t))

	premiumOnly := economy.Catalog{Version: 7, Packages: map[string]economy.Package{"p": {ID: "p", Products: map[economy.Store][]string{economy.AppStore: {"premium"}}}}}
	all, err := b.store.UnknownWithUnfolded(t.Context(), premiumOnly)
	require.NoError(t, err)
	require.Equal(t, []purchases.UnknownProduct{{Store: "app_store", Product: "novelty", Purchases: 2}}, all)

	b.foldWith(t, premiumOnly, "ann", 2)
	require.Equal(t, []purchases.UnknownProduct{{Store: "app_store", Product: "novelty", Purchases: 1}}, b.lacked(t))
	require.Equal(t, []string{"ann"}, b.unfolded(t))
}

// What no catalogue had is listed until a fold with one that has it, and then forgotten.
func TestWhatTheCatalogueHasByNowIsBoundAndForgotten(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, soldNovelty("t1", "ann"), soldNovelty("t2", "bob"))
	b.fold(t, "ann", 2)
	b.fold(t, "bob", 2)
	require.Equal(t, []purchases.UnknownProduct{{Store: "app_store", Product: "novelty", Purchases: 2}}, b.lacked(t))
	require.ElementsMatch(t, []string{"ann", "bob"}, b.unfolded(t))
	b.foldWith(t, novelty, "ann", 3)
	require.Equal(t, 8, b.count(t, "SELECT catalog_version FROM purchases WHERE transaction_id = 't1'"))
	require.Equal(t, []string{"bob"}, b.unfolded(t))
	require.Equal(t, []purchases.UnknownProduct{{Store: "app_store", Product: "novelty", Purchases: 1}}, b.lacked(t))

	left := func() int { return b.count(t, "SELECT count(*) FROM unknown_purchases") }
	require.Equal(t, 1, left(), "who binds it forgets it")
	b.again(t, "t1")
	next, swept, err := b.store.SweepUnknown(t.Context(), economy.PurchaseKey{}, 1)
	require.NoError(t, err)
	require.Equal(t, key("t1"), next)
	require.EqualValues(t, 1, swept)
	next, swept, err = b.store.SweepUnknown(t.Context(), next, 1)
	require.NoError(t, err)
	require.Equal(t, key("t2"), next)
	require.Zero(t, swept)
	require.Equal(t, 1, left(), "what is unknown stays")
	next, _, err = b.store.SweepUnknown(t.Context(), next, 1)
	require.NoError(t, err)
	require.Zero(t, next, "from the beginning")

	// The product was another one: its fold finds that, and what the sweep left is true.
	other := soldNovelty("t2", "bob")
	other.At, other.By, other.Product = hour(5), "other", "elsewhere"
	b.record(t, other)
	require.Empty(t, b.lacked(t), "nobody has looked since")
	_, swept, err = b.store.SweepUnknown(t.Context(), economy.PurchaseKey{}, 10)
	require.NoError(t, err)
	require.Zero(t, swept)
	b.fold(t, "bob", 6)
	require.Equal(t, []purchases.UnknownProduct{{Store: "app_store", Product: "elsewhere", Purchases: 1}}, b.lacked(t))
}

// again writes candidates that are bound, as a fold beside that read before leaves them.
func (b *books) again(t *testing.T, transactions ...string) {
	t.Helper()
	_, err := b.db.Exec(`INSERT INTO unknown_purchases (found_at, store, environment, transaction_id, product_id)
		SELECT now(), store, environment, transaction_id, product_id FROM purchases WHERE transaction_id = ANY($1) AND catalog_version > 0`, postgres.Array(transactions))
	require.NoError(t, err)
}

// Two who sweep at once do not wait for each other, nor for a fold.
func TestASweepWaitsForNobody(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, soldNovelty("t1", "ann"), soldNovelty("t2", "ann"))
	b.fold(t, "ann", 2)
	b.foldWith(t, novelty, "ann", 3)
	b.again(t, "t1", "t2")
	tx, err := b.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.Exec("UPDATE unknown_purchases SET found_at = found_at WHERE transaction_id = 't1'")
	require.NoError(t, err)
	_, swept, err := b.store.SweepUnknown(t.Context(), economy.PurchaseKey{}, 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, swept)
	require.NoError(t, tx.Rollback())
	require.Equal(t, 1, b.count(t, "SELECT count(*) FROM unknown_purchases WHERE transaction_id = 't1'"))
}

// Whoever is folded again and again, alone or with what changed, writes the same once.
func TestASecondFoldFindsTheSameUnknownProducts(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	unknown := func(fact economy.PurchaseFact, now int) outbox.Effects {
		t.Helper()
		told, err := b.store.Told(t.Context(), fact.Key, nil, fact.AppUserID)
		require.NoError(t, err)
		merge, err := purchases.Merge(told.Known, fact, events.Store, hour(now))
		require.NoError(t, err)
		h, ok, err := told.After(merge.Guard.(purchases.Merged))
		require.NoError(t, err)
		require.True(t, ok)
		bought := h.Bought(func(purchases.Recorded) (economy.Package, int64, bool) { return economy.Package{}, 0, false }, false)
		return h.Take(merge, bought, economy.Fold(h.Customer, bought), events.Store, hour(now))
	}
	require.Equal(t, outbox.Applied, b.commit(t, unknown(soldNovelty("t1", "ann"), 2)), "merged and folded in one commit")
	require.Equal(t, []purchases.UnknownProduct{{Store: "app_store", Product: "novelty", Purchases: 1}}, b.lacked(t))
	var first, second struct {
		Row     string    `db:"row"`
		FoundAt time.Time `db:"found_at"`
	}
	const written = "SELECT xmin || '/' || ctid AS row, found_at FROM unknown_purchases"
	require.NoError(t, b.db.Get(&first, written))
	b.fold(t, "ann", 3)
	require.Equal(t, outbox.Applied, b.commit(t, unknown(refunded("t1", 4), 4)))
	require.NoError(t, b.db.Get(&second, written))
	require.Equal(t, first, second)

	// Owner and buyer are two customers, folded in one batch or one after the other.
	theirs := soldNovelty("t2", "bob")
	theirs.Buyer = "cid"
	b.record(t, theirs)
	b.fold(t, "bob", 5)
	b.fold(t, "cid", 5)
	require.Equal(t, 2, b.count(t, "SELECT count(*) FROM unknown_purchases"))
	mine, his := b.prepared(t, "bob", 6), b.prepared(t, "cid", 6)
	require.Contains(t, mine.Touches, purchases.PurchaseKey(key("t2")))
	require.Contains(t, his.Touches, purchases.PurchaseKey(key("t2")), "one statement cannot write a row twice")
}

// Whoever has no part in a purchase is not folded when it changes, and says nothing of it.
func TestWhoHasPartInAPurchaseSaysThatItIsUnknown(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, soldNovelty("t1", "ann"))
	b.link(t, purchases.Transfer(economy.Transfer{ID: "x1", At: hour(3), Store: economy.AppStore, From: []string{"ann"}, To: []string{"bob"}})...)
	b.link(t, purchases.Transfer(economy.Transfer{ID: "x2", At: hour(4), Store: economy.AppStore, From: []string{"bob"}, To: []string{"cid"}})...)
	b.fold(t, "bob", 5)
	require.Empty(t, b.lacked(t), "ann bought it, and it is cid's")
	b.fold(t, "cid", 5)
	require.Len(t, b.lacked(t), 1)
	require.Equal(t, []string{"ann"}, b.unfolded(t), "who has the others folded")
}

// Binding a purchase to a catalogue changes one column. While no index of the table looks
// at that, in a column or in its predicate, it is a heap-only update: no index is written.
func TestNoIndexLooksAtTheCatalogueOfAPurchase(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	var indexes []string
	require.NoError(t, b.db.Select(&indexes, "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'purchases'::regclass"))
	require.GreaterOrEqual(t, len(indexes), 3)
	for _, index := range indexes {
		require.NotContains(t, index, "catalog_version")
	}
}
