package purchases_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

var premium = economy.Package{
	ID: "premium", Accesses: []economy.PackageAccess{{Module: "premium"}}, Items: []economy.PackageItem{{Item: "chest", Quantity: 2}},
}

// prepared reads a player's history and folds it, as the consumer access does.
func (b *books) prepared(t *testing.T, user string, now int) outbox.Effects {
	t.Helper()
	h, err := b.store.History(t.Context(), user)
	require.NoError(t, err)
	bought := h.Bought(func(r purchases.Recorded) (economy.Package, int64, bool) {
		return premium, 7, r.Product.Value == "premium"
	}, false)
	return h.Effects(bought, economy.Fold(h.Customer, bought), hour(now))
}

func (b *books) fold(t *testing.T, user string, now int) {
	t.Helper()
	require.Equal(t, outbox.Applied, b.commit(t, b.prepared(t, user, now)))
}

// holds says what a player may use and has: "premium until 1001; chest 2".
func (b *books) holds(t *testing.T, user string, now int) string {
	t.Helper()
	accesses, err := b.store.Accesses(t.Context(), user, hour(now))
	require.NoError(t, err)
	items, err := b.store.Items(t.Context(), user)
	require.NoError(t, err)
	var out []string
	for _, a := range accesses {
		out = append(out, a.Module+" by "+a.Purchase.TransactionID)
	}
	if n := items["chest"]; n != 0 {
		out = append(out, strings.Repeat("chest ", int(n/2)))
	}
	return strings.TrimSpace(strings.Join(out, " "))
}

func TestWhatAPurchaseBringsFollowsItsRefundAndReversal(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, sold("t1", "ann", 1))
	b.fold(t, "ann", 2)
	require.Equal(t, "premium by t1 chest", b.holds(t, "ann", 3))
	require.Equal(t, "chest", b.holds(t, "ann", 2000), "its time is over")
	b.record(t, refunded("t1", 5))
	b.fold(t, "ann", 6)
	require.Empty(t, b.holds(t, "ann", 7))
	reversed := refunded("t1", 9)
	reversed.Kind, reversed.By, reversed.Refund = economy.FactReversed, "reversed", &economy.Refund{Reversed: true}
	b.record(t, reversed)
	b.fold(t, "ann", 10)
	b.fold(t, "ann", 11)
	require.Equal(t, "premium by t1 chest", b.holds(t, "ann", 12))
	require.Equal(t, 6, b.count(t, "SELECT count(*) FROM purchase_grants"), "credited, revoked, restored; folding again adds nothing")
	require.Equal(t, 7, b.count(t, "SELECT catalog_version FROM purchases"))
}

func TestAFoldOfAnOlderHistoryIsStale(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, sold("t1", "ann", 1))
	older := b.prepared(t, "ann", 2)
	b.record(t, refunded("t1", 3))
	b.fold(t, "ann", 4)
	require.Equal(t, outbox.Stale, b.commit(t, older))
	require.Empty(t, b.holds(t, "ann", 5))
}

func TestAliasesAreOneCustomerAndTheirHistoriesMeet(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, sold("t1", "zoe", 1), sold("t2", "ann", 2))
	b.fold(t, "zoe", 3)
	b.fold(t, "ann", 3)
	late := b.prepared(t, "zoe", 3) // folds zoe alone, and comes too late
	b.link(t, purchases.Aliases([]string{"zoe", "$RCAnonymousID:1"}, "evt", hour(4))...)
	b.link(t, purchases.Aliases([]string{"$RCAnonymousID:1", "ann"}, "evt", hour(4))...)
	require.Equal(t, "premium by t2 chest chest", b.holds(t, "zoe", 5), "both count before they are folded together")
	b.fold(t, "$RCAnonymousID:1", 5)
	require.Equal(t, outbox.Stale, b.commit(t, late))
	for _, user := range []string{"ann", "zoe", "$RCAnonymousID:1"} {
		require.Equal(t, "premium by t2 chest chest", b.holds(t, user, 6))
		customer, err := b.store.Customer(t.Context(), user)
		require.NoError(t, err)
		require.Equal(t, "ann", customer.ID)
	}
	b.fold(t, "zoe", 7)
	require.Equal(t, 4, b.count(t, "SELECT count(*) FROM purchase_grants"), "nothing is brought a second time")
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM customer_conflicts WHERE customer_id = 'ann' AND app_user_ids = '["ann","zoe"]'`))
	require.Equal(t, 1, b.count(t, "SELECT count(*) FROM accesses WHERE customer_id = 'zoe' AND state = 'revoked' AND cause = 'gone'"))
}

func TestATransferMovesWhatWasBoughtBefore(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.record(t, sold("t1", "ann", 1))
	b.fold(t, "ann", 2)
	b.link(t, purchases.Transfer(economy.Transfer{ID: "x1", At: hour(3), Store: economy.AppStore, From: []string{"ann", "$RCAnonymousID:1"}, To: []string{"bob", "$RCAnonymousID:2"}})...)
	b.link(t, purchases.Aliases([]string{"bob", "$RCAnonymousID:2"}, "x1", hour(3))...)
	b.link(t, purchases.Transfer(economy.Transfer{ID: "x2", At: hour(4), From: []string{"$RCAnonymousID:2"}, To: []string{"cid"}})...)
	b.record(t, sold("t2", "ann", 5))
	for _, user := range []string{"cid", "bob", "ann"} {
		b.fold(t, user, 6)
	}
	require.Equal(t, "premium by t2 chest", b.holds(t, "ann", 7))
	require.Empty(t, b.holds(t, "bob", 7))
	require.Equal(t, "premium by t1 chest", b.holds(t, "cid", 7))
	require.Equal(t, 4, b.count(t, "SELECT sum(quantity) FROM purchase_grants WHERE kind = 'item'"))

	// Only the owner's fold settles a claim of it.
	claim := economy.Claim{ID: outbox.NewID(), AppUserID: "ann", Store: economy.AppStore, TransactionID: "t1", ProductID: "premium", ClaimedAt: hour(1)}
	require.Equal(t, outbox.Applied, b.commit(t, outbox.Effects{Guard: purchases.Claimed{Claim: claim}}))
	b.fold(t, "ann", 7)
	claim, err := b.store.Claim(t.Context(), claim.ID)
	require.NoError(t, err)
	require.Equal(t, economy.ClaimPending, claim.State)
	b.fold(t, "cid", 7)
	claim, err = b.store.Claim(t.Context(), claim.ID)
	require.NoError(t, err)
	require.Equal(t, economy.ClaimOfAnother, claim.Reason)

	// A refund names whom the store knows; whom it concerns follows from the transfers.
	b.record(t, refunded("t1", 8))
	h, err := b.store.History(t.Context(), "ann")
	require.NoError(t, err)
	require.Equal(t, []string{"cid"}, h.Others(key("t1")))
	require.Empty(t, h.Others(key("t2")))
	require.Equal(t, []string{"cid"}, h.Others())
	for _, user := range h.Others(key("t1")) {
		b.fold(t, user, 9)
	}
	require.Empty(t, b.holds(t, "cid", 10))
}

func TestAClaimIsPendingUntilSomebodyElseTellsOfIt(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	claim := func(user, transaction string) economy.Claim {
		c := economy.Claim{ID: outbox.NewID(), AppUserID: user, Store: economy.AppStore, TransactionID: transaction, ProductID: "premium", ClaimedAt: hour(1)}
		require.Equal(t, outbox.Applied, b.commit(t, outbox.Effects{Guard: purchases.Claimed{Claim: c}}))
		return c
	}
	state := func(c economy.Claim) string {
		got, err := b.store.Claim(t.Context(), c.ID)
		require.NoError(t, err)
		return string(got.State) + got.Reason
	}
	mine, thief, nobody := claim("ann", "t1"), claim("eve", "t1"), claim("ann", "t9")
	again := mine
	again.ID = outbox.NewID()
	require.Equal(t, outbox.Duplicate, b.commit(t, outbox.Effects{Guard: purchases.Claimed{Claim: again}}))
	b.fold(t, "ann", 2)
	require.Empty(t, b.holds(t, "ann", 3), "a claim gives nothing")
	pending, err := b.store.PendingClaims(t.Context(), "ann")
	require.NoError(t, err)
	require.Len(t, pending, 2)

	rejected := nobody
	rejected.State, rejected.Reason, rejected.SettledAt = economy.ClaimRejected, economy.ClaimUnknown, hour(4)
	require.Equal(t, outbox.Applied, b.commit(t, outbox.Effects{Guard: purchases.SettledAlone{Claim: rejected}}))
	require.Equal(t, outbox.Duplicate, b.commit(t, outbox.Effects{Guard: purchases.SettledAlone{Claim: rejected}}))

	b.record(t, sold("t1", "ann", 1), sold("t9", "ann", 1))
	b.fold(t, "ann", 5)
	require.Equal(t, "confirmed", state(mine))
	require.Equal(t, "rejectedbelongs_to_another", state(thief))
	require.Equal(t, "confirmed", state(nobody), "it was only not known yet")
	found, err := b.store.ClaimOf(t.Context(), "eve", economy.AppStore, "t1")
	require.NoError(t, err)
	require.Equal(t, thief.ID, found.ID)
}
