package spendapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// claimBundle is an API with what the rest of the system would do of a purchase.
type claimBundle struct {
	*testBundle
	store     *purchases.Store
	committer *outbox.Committer
}

func setupClaims(t *testing.T, change ...func(*Config)) *claimBundle {
	t.Helper()
	db := testenv.Postgres(t)
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Log: slog.New(slog.DiscardHandler), Subscriptions: outbox.Subscriptions{
		events.StorePurchaseChangedV1: {"access"}, events.StoreCustomerChangedV1: {"access"}, events.CustomerResyncRequestedV1: {"resync"},
	}})
	t.Cleanup(committer.Close)
	sells := func(c *Config) {
		c.Catalog = func() economy.Catalog { return economy.Catalog{Version: 7, Packages: packages} }
	}
	return &claimBundle{setupOn(t, db, committer, append([]func(*Config){sells}, change...)...), purchases.NewStore(db), committer}
}

var packages = map[string]economy.Package{
	"gems": {ID: "gems", Products: map[economy.Store][]string{economy.AppStore: {"gems_100"}, economy.PlayStore: {"gems"}}, Credits: economy.Amounts{"GEM": 100}},
	"premium": {
		ID: "premium", Products: map[economy.Store][]string{economy.AppStore: {"premium_monthly"}},
		Accesses: []economy.PackageAccess{{Module: "premium"}}, Items: []economy.PackageItem{{Item: "chest", Quantity: 2}},
	},
}

// bought is a transaction of the App Store.
const bought = "2000000123456789"

func claims(store, transaction, product string) request {
	body, _ := json.Marshal(map[string]string{"store": store, "transaction_id": transaction, "product_id": product})
	r := post(string(body))
	r.path = "/purchases/claims"
	return r
}

func restore() request {
	return request{method: http.MethodPost, path: "/purchases/restore", header: http.Header{}}
}

// told has somebody tell of a purchase, and folds its owner as the consumer access does.
func (b *claimBundle) told(t *testing.T, source economy.Source, transaction, owner string, change ...func(*economy.PurchaseFact)) {
	t.Helper()
	at := b.clock.now().UTC()
	fact := economy.PurchaseFact{
		Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: transaction},
		Source: source, Kind: economy.FactBought, At: at, By: "told", AppUserID: owner, Product: "premium_monthly", PurchasedAt: at, ExpiresAt: new(at.Add(720 * time.Hour)),
	}
	for _, f := range change {
		f(&fact)
	}
	recorder := purchases.Recorder{Store: b.store, Committer: b.committer, Now: b.clock.now}
	_, err := recorder.Record(t.Context(), fact, events.Store)
	require.NoError(t, err)
	b.fold(t, owner)
}

func (b *claimBundle) fold(t *testing.T, owner string) {
	t.Helper()
	h, err := b.store.History(t.Context(), owner)
	require.NoError(t, err)
	bought := h.Bought(func(r purchases.Recorded) (economy.Package, int64, bool) {
		p, ok := economy.Catalog{Packages: packages}.PackageOf(r.Key.Store, r.Product.Value)
		return p, 7, ok
	}, false)
	b.commit(t, h.Effects(bought, economy.Fold(h.Customer, bought), b.clock.now()))
}

func (b *claimBundle) commit(t *testing.T, effects outbox.Effects) {
	t.Helper()
	result, err := b.committer.Commit(t.Context(), effects)
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
}

// nobodyKnows ends a claim as the consumer resync does when the provider, asked long
// enough after the claim, does not know its purchase.
func (b *claimBundle) nobodyKnows(t *testing.T, id string) {
	t.Helper()
	claim, err := b.store.Claim(t.Context(), id)
	require.NoError(t, err)
	claim.State, claim.Reason, claim.SettledAt = economy.ClaimRejected, economy.ClaimUnknown, b.clock.now()
	b.commit(t, outbox.Effects{Guard: purchases.SettledAlone{Claim: claim}})
}

// claimed sends a claim and returns how it stands.
func (b *claimBundle) claimed(t *testing.T, r request, status int) claimTold {
	t.Helper()
	w := b.do(t, r)
	require.Equal(t, status, w.Code, w.Body)
	var answer struct{ Claim claimTold }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer.Claim
}

// has says what a player can use: accesses and items.
func (b *claimBundle) has(t *testing.T, player string) string {
	t.Helper()
	accesses, err := b.store.Accesses(t.Context(), player, b.clock.now())
	require.NoError(t, err)
	items, err := b.store.Items(t.Context(), player)
	require.NoError(t, err)
	var out strings.Builder
	for _, a := range accesses {
		out.WriteString(a.Module + " ")
	}
	return out.String() + fmt.Sprint(items)
}

func (b *claimBundle) wishes(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, b.db.GetContext(t.Context(), &n, "SELECT count(*) FROM outbox WHERE consumer = 'resync'"))
	return n
}

func TestAClaimIsShownAsPendingAndGivesNothing(t *testing.T) {
	t.Parallel()
	b := setupClaims(t)
	w := b.do(t, claims("APP_STORE", bought, "premium_monthly"))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	golden(t, "claim_pending", w.Body.Bytes())
	b.fold(t, player)
	require.Equal(t, "map[]", b.has(t, player))
	gems := b.claimed(t, claims("play_store", "GPA.1", "gems:base"), http.StatusAccepted)
	require.Equal(t, economy.Amounts{"GEM": 100}, gems.Pending.Credits)
	require.Contains(t, b.do(t, get("/wallet")).Body.String(), `"balance":0,"pending":100,`, "no balance comes of a claim")
	require.Equal(t, 2, b.wishes(t))

	again := b.claimed(t, claims("app_store", bought, "gems_100"), http.StatusAccepted)
	require.Equal(t, "premium_monthly", again.ProductID, "the transaction is the key; the first word stays")
	require.Equal(t, 2, b.wishes(t), "the same claim is one wish")
	var claim economy.Claim
	claim, err := b.store.ClaimOf(t.Context(), player, economy.AppStore, bought)
	require.NoError(t, err)
	require.Equal(t, again.ID, claim.ID)
}

// Whoever tells of the purchase, and whenever: the claim ends confirmed and what the
// player has comes from the purchase, once.
func TestAClaimIsConfirmedByWhoeverElseTellsOfIt(t *testing.T) {
	t.Parallel()
	const has = "premium map[chest:2]"
	mine := claims("app_store", bought, "premium_monthly")
	for name, run := range map[string]func(*testing.T, *claimBundle){
		"a webhook": func(t *testing.T, b *claimBundle) {
			t.Helper()
			b.claimed(t, mine, http.StatusAccepted)
			b.told(t, economy.FromWebhook, bought, player)
		},
		"a resync": func(t *testing.T, b *claimBundle) {
			t.Helper()
			b.claimed(t, mine, http.StatusAccepted)
			b.told(t, economy.FromResync, bought, player, func(f *economy.PurchaseFact) { f.Kind = economy.FactSnapshot })
		},
		"a webhook that came first": func(t *testing.T, b *claimBundle) {
			t.Helper()
			b.told(t, economy.FromWebhook, bought, player)
			require.Empty(t, b.claimed(t, mine, http.StatusOK).Pending)
			require.Zero(t, b.wishes(t), "nobody need be asked")
		},
		"a webhook that was folded while the claim was on its way": func(t *testing.T, b *claimBundle) {
			t.Helper()
			claim := b.claimed(t, mine, http.StatusAccepted)
			b.told(t, economy.FromWebhook, bought, player)
			_, err := b.db.ExecContext(t.Context(), "UPDATE claims SET state = 'pending', settled_at = NULL WHERE id = $1", claim.ID)
			require.NoError(t, err)
		},
		"a webhook after it was rejected": func(t *testing.T, b *claimBundle) {
			t.Helper()
			claim := b.claimed(t, mine, http.StatusAccepted)
			b.clock.add(5 * time.Minute)
			b.nobodyKnows(t, claim.ID)
			p := requireProblem(t, b.do(t, mine), PurchaseUnknown)
			require.Equal(t, "unknown_purchase", p["claim"].(map[string]any)["reason"])
			require.NotContains(t, p["claim"], "pending")
			b.told(t, economy.FromWebhook, bought, player)
		},
		"a webhook that names another id of the player": func(t *testing.T, b *claimBundle) {
			t.Helper()
			b.claimed(t, mine, http.StatusAccepted)
			id := outbox.NewID()
			b.commit(t, outbox.Effects{
				Guard: purchases.Received{ID: id, EventKey: id, ReceivedAt: start, Verdict: purchases.Accepted},
				Rows:  purchases.Aliases([]string{player, "$RCAnonymousID:1"}, "x", start),
			})
			b.told(t, economy.FromWebhook, bought, "$RCAnonymousID:1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupClaims(t)
			run(t, b)
			claim := b.claimed(t, mine, http.StatusOK)
			require.Equal(t, economy.ClaimConfirmed, claim.State)
			require.NotZero(t, claim.SettledAt)
			require.Nil(t, claim.Pending)
			stored, err := b.store.Claim(t.Context(), claim.ID)
			require.NoError(t, err)
			require.Equal(t, economy.ClaimConfirmed, stored.State)
			require.Equal(t, has, b.has(t, player))
			b.fold(t, player)
			require.Equal(t, has, b.has(t, player))
		})
	}
}

func TestAClaimOfAnothersPurchaseGivesNothing(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]bool{"before the webhook": true, "after it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupClaims(t)
			theft := claims("app_store", bought, "premium_monthly").as("eve")
			if early {
				b.claimed(t, theft, http.StatusAccepted)
			}
			b.told(t, economy.FromWebhook, bought, "ann")
			p := requireProblem(t, b.do(t, theft), PurchaseOfAnother)
			require.Equal(t, "rejected", p["claim"].(map[string]any)["state"])
			b.fold(t, "eve")
			require.Equal(t, "map[]", b.has(t, "eve"))
			require.Equal(t, "premium map[chest:2]", b.has(t, "ann"))
			require.Equal(t, economy.ClaimConfirmed, b.claimed(t, claims("app_store", bought, "premium_monthly").as("ann"), http.StatusOK).State)

			// The provider moves it, as it does when the account of the store is hers: now it is.
			id := outbox.NewID()
			b.clock.add(time.Minute)
			b.commit(t, outbox.Effects{
				Guard: purchases.Received{ID: id, EventKey: id, ReceivedAt: start, Verdict: purchases.Accepted},
				Rows:  purchases.Transfer(economy.Transfer{ID: "x", At: b.clock.now(), From: []string{"ann"}, To: []string{"eve"}}),
			})
			b.fold(t, "eve")
			claim, err := b.store.ClaimOf(t.Context(), "eve", economy.AppStore, bought)
			require.NoError(t, err)
			require.Equal(t, economy.ClaimConfirmed, claim.State, "her fold settles it")
			require.Equal(t, economy.ClaimConfirmed, b.claimed(t, theft, http.StatusOK).State)
		})
	}
}

func TestAClaimOfARefundedPurchaseIsRejected(t *testing.T) {
	t.Parallel()
	b := setupClaims(t)
	b.told(t, economy.FromWebhook, bought, player, func(f *economy.PurchaseFact) { f.Refund = &economy.Refund{At: f.At} })
	requireProblem(t, b.do(t, claims("app_store", bought, "premium_monthly")), PurchaseRefunded)
	require.Equal(t, "map[]", b.has(t, player))
}

func TestWhatPostClaimRefuses(t *testing.T) {
	t.Parallel()
	b := setupClaims(t)
	raw := func(body string) request { r := claims("", "", ""); r.body = body; return r }
	form := claims("app_store", "t1", "gems_100")
	form.header = http.Header{"Content-Type": {"text/plain"}}
	for name, c := range map[string]struct {
		r    request
		kind *ProblemType
	}{
		"no session":             {claims("app_store", "t1", "gems_100").as("-"), Unauthenticated},
		"no such store":          {claims("nowhere", "t1", "gems_100"), UnknownStore},
		"no such product":        {claims("app_store", "t1", "moon"), UnknownProduct},
		"another store's":        {claims("play_store", "t1", "gems_100"), UnknownProduct},
		"no product of 10 bytes": {claims("app_store", "t1", strings.Repeat("x", 500)), UnknownProduct},
		"a store that is none":   {claims("app store!", "t1", "gems_100"), MalformedRequest},
		"no store":               {raw(`{"transaction_id":"t","product_id":"gems_100"}`), MalformedRequest},
		"no transaction":         {claims("app_store", " ", "gems_100"), MalformedRequest},
		"a long transaction":     {claims("app_store", strings.Repeat("x", 256), "gems_100"), MalformedRequest},
		"a NUL":                  {claims("app_store", "a\x00b", "gems_100"), MalformedRequest},
		"a number":               {raw(`{"store":"app_store","transaction_id":2000000123456789,"product_id":"gems_100"}`), MalformedRequest},
		"twice":                  {raw(`{"store":"app_store","store":"app_store","transaction_id":"t","product_id":"gems_100"}`), MalformedRequest},
		"no JSON":                {raw("store=app_store"), MalformedRequest},
		"too large":              {raw(strings.Repeat(" ", bodyMax+1)), BodyTooLarge},
		"text":                   {form, UnsupportedMediaType},
		"GET":                    {get("/purchases/claims"), MethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			w := b.do(t, c.r)
			requireProblem(t, w, c.kind)
			require.Less(t, w.Body.Len(), 1000)
		})
	}
	require.Zero(t, b.wishes(t))
	golden(t, "problem_unknown_product", b.do(t, claims("app_store", "t1", "moon")).Body.Bytes())
}

// What was claimed before is told also when the catalogue does not sell it any more.
func TestAClaimIsToldAlsoWhenItsProductIsGone(t *testing.T) {
	t.Parallel()
	sells := packages
	b := setupClaims(t, func(c *Config) { c.Catalog = func() economy.Catalog { return economy.Catalog{Packages: sells} } })
	b.claimed(t, claims("app_store", "t1", "gems_100"), http.StatusAccepted)
	sells = nil
	told := b.claimed(t, claims("app_store", "t1", "gems_100"), http.StatusAccepted)
	require.Empty(t, told.Pending.Credits)
	requireProblem(t, b.do(t, claims("app_store", "t2", "gems_100")), UnknownStore)
}

func TestAPlayerHasSoManyOpenClaimsAndNoMore(t *testing.T) {
	t.Parallel()
	b := setupClaims(t)
	var all sync.WaitGroup
	for i := range claimsPendingMax {
		all.Go(func() {
			b.claimed(t, claims("app_store", fmt.Sprint("t", i), "gems_100"), http.StatusAccepted)
		})
	}
	all.Wait()
	w := b.do(t, claims("app_store", "more", "gems_100"))
	requireProblem(t, w, TooManyOpenClaims)
	require.Equal(t, "60", w.Header().Get("Retry-After"))
	b.claimed(t, claims("app_store", "t1", "gems_100"), http.StatusAccepted) // one of the ten is no more than ten
	b.claimed(t, claims("app_store", "more", "gems_100").as("another"), http.StatusAccepted)
	b.told(t, economy.FromWebhook, "known", player)
	b.claimed(t, claims("app_store", "known", "premium_monthly"), http.StatusOK) // it is settled, and never was open
	b.told(t, economy.FromWebhook, "t1", player)
	b.claimed(t, claims("app_store", "more", "gems_100"), http.StatusAccepted)
}

func TestClaimsAndRestoresCountForThePlayersRate(t *testing.T) {
	t.Parallel()
	b := setupClaims(t, func(c *Config) { c.PlayerRate = 0.2 })
	b.claimed(t, claims("app_store", "t1", "gems_100"), http.StatusAccepted)
	requireProblem(t, b.do(t, claims("app_store", "t1", "gems_100")), TooManyRequests)
	requireProblem(t, b.do(t, restore()), TooManyRequests)
}

// toldNothing is Claims that know of no purchase.
type toldNothing struct{ Claims }

func (toldNothing) JudgeClaim(_ context.Context, claim economy.Claim, _ time.Time) (economy.Claim, error) {
	return claim, nil
}

func TestClaimsAndRestoresInTroubleSayThatNothingIsLostByRepeating(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		kind  *ProblemType
		retry string
	}{
		{outbox.ErrOverloaded, Overloaded, "1"},
		{outbox.ErrUnavailable, Unavailable, "2"},
		{errors.New("x"), Internal, ""},
	} {
		b := setupOn(t, nil, commitFunc(func(context.Context, outbox.Effects) (outbox.Result, error) { return 0, c.err }), func(config *Config) {
			config.Books, config.Claims = noBooks{}, toldNothing{}
			config.Catalog = func() economy.Catalog { return economy.Catalog{Packages: packages} }
		})
		for _, r := range []request{claims("app_store", "t1", "gems_100"), restore()} {
			w := b.do(t, r)
			require.NotContains(t, requireProblem(t, w, c.kind)["detail"], "idempotency")
			require.Equal(t, c.retry, w.Header().Get("Retry-After"))
		}
	}
}

func TestClaimsAndRestoresWithoutADatabaseAre503(t *testing.T) {
	t.Parallel()
	server := testenv.DurablePostgres(t)
	b := setupOn(t, server.DB(), newCommitter(t, server.DB()), func(c *Config) { c.Catalog = func() economy.Catalog { return economy.Catalog{Packages: packages} } })
	server.Stop()
	for _, r := range []request{claims("app_store", "t1", "gems_100"), claims("app_store", "t1", "moon"), restore()} {
		w := b.do(t, r)
		require.NotContains(t, requireProblem(t, w, Unavailable)["detail"], "spend")
		require.Equal(t, "2", w.Header().Get("Retry-After"))
	}
}
