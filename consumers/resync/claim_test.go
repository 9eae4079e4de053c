package resync_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/outbox"
)

// claim makes a player's claim of a transaction, now, and returns the wish about it.
func (w *world) claim(player, transaction string) (economy.Claim, events.Event) {
	w.t.Helper()
	claim := economy.Claim{
		ID: outbox.NewID(), AppUserID: player, Store: economy.AppStore, TransactionID: transaction, ProductID: "gems_100", ClaimedAt: w.clock(),
	}
	result, err := w.committer.Commit(w.t.Context(), outbox.Effects{Guard: purchases.Claimed{Claim: claim}})
	require.NoError(w.t, err)
	require.Equal(w.t, outbox.Applied, result)
	return claim, w.wish(events.ResyncClaim, claim.ID, player)
}

// after says when a wish wants to come back.
func (w *world) after(wish events.Event) time.Duration {
	w.t.Helper()
	err := w.consume(wish)
	require.Error(w.t, err)
	require.False(w.t, consumers.IsPermanent(err), err)
	return consumers.Decide(w.consumer.Spec(), 1, err, 0).After
}

func (w *world) state(claim economy.Claim) []string {
	w.t.Helper()
	kept, err := w.store.Claim(w.t.Context(), claim.ID)
	require.NoError(w.t, err)
	return []string{string(kept.State), kept.Reason}
}

func TestAClaimWaitsForItsWebhookAndIsThenSettledByTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gems := w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "gems_100"}))
	mine, wish := w.claim("ann", gems)
	_, second := w.claim("ann", "another one")
	stolen, theirs := w.claim("bob", gems)
	require.Equal(t, 30*time.Second, w.after(wish))
	require.Empty(t, w.Stats().ByOperation, "the webhook may still come")
	w.pass(31 * time.Second)
	require.NoError(t, w.consume(wish))
	require.Equal(t, []string{"confirmed", ""}, w.state(mine))
	require.Equal(t, 1, w.Stats().ByOperation["purchases"])
	require.NotZero(t, w.after(second))
	require.Equal(t, 1, w.Stats().ByOperation["purchases"], "one reading answers all claims of a customer")
	require.Equal(t, 1, w.Stats().ByOperation["find_purchases"])
	require.NoError(t, w.consume(theirs))
	require.Equal(t, []string{"rejected", economy.ClaimOfAnother}, w.state(stolen))
	require.NoError(t, w.consume(wish), "a settled claim needs nothing")
	require.Equal(t, 2, w.Stats().ByOperation["aliases"])
}

func TestAPurchaseOfAnotherIsFoundByItsTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	premium := w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "premium"}))
	second := w.bought(w.Renew(premium, ""))
	claim, wish := w.claim("bob", premium) // of a period that is past by now
	w.pass(time.Minute)
	require.NoError(t, w.consume(wish))
	require.Equal(t, []string{"rejected", economy.ClaimOfAnother}, w.state(claim))
	for _, id := range []string{premium, second} {
		require.Equal(t, "ann", w.purchase(economy.AppStore, economy.Production, id).Owner.Value, "what was found is recorded")
	}
}

func TestAClaimThatNobodyKnowsIsRejectedWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	down := false
	w := newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if down && r.URL.Query().Has("store_subscription_identifier") {
				out.WriteHeader(http.StatusNotFound)
				return
			}
			next.ServeHTTP(out, r)
		})
	})
	claim, wish := w.claim("ann", "t404")
	for _, check := range []struct{ pass, after int }{{0, 30}, {30, 30}, {31, 59}, {60, 119}, {119, 60}} {
		w.pass(time.Duration(check.pass) * time.Second)
		require.Equal(t, time.Duration(check.after)*time.Second, w.after(wish))
		require.Equal(t, []string{"pending", ""}, w.state(claim))
	}
	w.pass(60 * time.Second)
	down = true
	require.NotZero(t, w.after(wish))
	require.Equal(t, []string{"pending", ""}, w.state(claim), "a 404 of the search itself is not definite")
	down = false
	require.NoError(t, w.consume(wish))
	require.Equal(t, []string{"rejected", economy.ClaimUnknown}, w.state(claim))

	late := w.bought(w.Buy(simulator.Buy{Customer: "ann", Product: "gems_100", Transaction: "t404"}))
	w.resync("ann", "later")
	history, err := w.store.History(t.Context(), "ann")
	require.NoError(t, err)
	require.Len(t, history.Claims, 1, "the fold of %s finds the claim", late)
}
