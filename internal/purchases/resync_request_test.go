package purchases_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

func TestAWishToBeReadCountsOnceInItsTimeAndWhileItIsOwed(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ask := func(player string, reason events.ResyncReason, at int) (outbox.Effects, outbox.Result) {
		wish := purchases.ResyncRequest{ID: outbox.NewID(), AppUserID: player, Reason: reason, RequestedAt: hour(at), NextAt: hour(at + 2)}
		effects := outbox.Effects{ID: outbox.NewID(), Guard: purchases.ResyncAsked{ResyncRequest: wish}, Events: []events.Event{wish.Event(events.Store)}}
		return effects, b.commit(t, effects)
	}
	state := func() purchases.ResyncState {
		_, state, err := b.store.ResyncRequest(t.Context(), "ann", events.ResyncRestore)
		require.NoError(t, err)
		return state
	}
	_, _, err := b.store.ResyncRequest(t.Context(), "ann", events.ResyncRestore)
	require.ErrorIs(t, err, purchases.ErrNotFound)
	first, result := ask("ann", events.ResyncRestore, 10)
	require.Equal(t, outbox.Applied, result)
	require.Equal(t, outbox.Applied, b.commit(t, first), "the same commit, whose answer was lost")
	require.Equal(t, purchases.ResyncRunning, state())
	for _, c := range []struct {
		player string
		reason events.ResyncReason
		at     int
		want   outbox.Result
	}{
		{"ann", events.ResyncRestore, 11, outbox.Duplicate},
		{"ann", events.ResyncRestore, 50, outbox.Duplicate}, // owed still
		{"ann", events.ResyncSilence, 11, outbox.Applied},
		{"bob", events.ResyncRestore, 11, outbox.Applied},
	} {
		_, result := ask(c.player, c.reason, c.at)
		require.Equal(t, c.want, result, c)
	}
	require.Equal(t, 3, b.count(t, "SELECT count(*) FROM outbox"))
	_, err = b.db.Exec("DELETE FROM outbox")
	require.NoError(t, err)
	require.Equal(t, purchases.ResyncFinished, state())
	for _, c := range []struct {
		at   int
		want outbox.Result
	}{{11, outbox.Duplicate}, {9, outbox.Duplicate}, {12, outbox.Applied}} {
		_, result := ask("ann", events.ResyncRestore, c.at)
		require.Equal(t, c.want, result, c)
	}
}

func TestWhoMayBeMissingWebhooksIsWhosePeriodEndsOrMayGoOnOrWhoClaimed(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ends := func(id, user string, at int, change ...func(*economy.PurchaseFact)) {
		fact := sold(id, user, 1)
		fact.ExpiresAt = new(hour(at))
		for _, f := range change {
			f(&fact)
		}
		b.record(t, fact)
	}
	ends("t1", "ann", 50)
	ends("t2", "ann", 51)
	ends("t3", "bob", 40-25)
	ends("t4", "cid", 60+25)
	ends("t6", "gus", 60+23) // the store charged a day early
	for i, intent := range []string{economy.IntentBillingIssue, economy.IntentPaused, economy.IntentCancelled} {
		ends(fmt.Sprintf("t7%d", i), "hal-"+intent, 40-60*24, func(f *economy.PurchaseFact) { f.Intent = &economy.Intent{Code: intent} })
	}
	ends("t8", "ivy", 40-93*24, func(f *economy.PurchaseFact) { f.Intent = &economy.Intent{Code: economy.IntentPaused} })
	ends("t5", "dan", 55, func(f *economy.PurchaseFact) { f.Refund = &economy.Refund{At: hour(2)} })
	for user, at := range map[string]int{"eve": 45, "fay": 30} {
		claim := economy.Claim{ID: outbox.NewID(), AppUserID: user, Store: economy.AppStore, TransactionID: "c" + user, ProductID: "premium", ClaimedAt: hour(at)}
		require.Equal(t, outbox.Applied, b.commit(t, outbox.Effects{Guard: purchases.Claimed{Claim: claim}}))
	}
	missed, err := b.store.MissedBetween(t.Context(), hour(40), hour(60), "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"ann", "eve", "gus", "hal-billing_issue", "hal-paused"}, missed)
	missed, err = b.store.MissedBetween(t.Context(), hour(40), hour(60), "ann", 1)
	require.NoError(t, err)
	require.Equal(t, []string{"eve"}, missed)
}
