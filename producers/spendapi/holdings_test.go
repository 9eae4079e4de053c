package spendapi

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// bought folds purchases of a player: products of the app store, each with what it brings.
func (b *testBundle) bought(t *testing.T, user, product string, brings economy.Package, ends *time.Time) {
	t.Helper()
	store := purchases.NewStore(b.db)
	committer := outbox.NewCommitter(outbox.CommitterConfig{DB: b.db, Subscriptions: outbox.Subscriptions{
		"store.purchase.changed.v1": {"access"}, "store.customer.changed.v1": {"access"},
	}})
	defer committer.Close()
	recorder := purchases.Recorder{Store: store, Committer: committer, Now: b.clock.now}
	_, err := recorder.Record(t.Context(), economy.PurchaseFact{
		Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: product + "-" + user},
		Source: economy.FromWebhook, Kind: economy.FactBought, At: start, By: "e-" + product, AppUserID: user, Product: product, PurchasedAt: start, ExpiresAt: ends,
	}, "store")
	require.NoError(t, err)
	h, err := store.History(t.Context(), user)
	require.NoError(t, err)
	list := h.Bought(func(p purchases.Recorded) (economy.Package, int64, bool) {
		return brings, 7, p.Product.Value == product
	}, false)
	result, err := committer.Commit(t.Context(), h.Effects(list, economy.Fold(h.Customer, list), b.clock.now()))
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
}

func TestTheInventoryShowsWhatSpendsAndPurchasesBrought(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for item, quantity := range map[string]int{"extra_life": 2, "sword": 1} {
		_, err := b.db.Exec(`INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) VALUES ($1, $2, now(), $3, $4)`, b.newID(), quantity, player, item)
		require.NoError(t, err)
	}
	ends := start.Add(time.Hour)
	b.bought(t, player, "month", economy.Package{
		ID: "month", Accesses: []economy.PackageAccess{{Module: "premium"}, {Module: "arena", Lasts: economy.Lasts{Forever: true}}},
		Items: []economy.PackageItem{{Item: "extra_life", Quantity: 3}, {Item: "chest", Quantity: 1}},
	}, &ends)
	golden(t, "get_inventory_bought", b.do(t, get("/inventory")).Body.Bytes())
	require.NotContains(t, b.do(t, get("/inventory").as("another")).Body.String(), "premium")
	b.clock.add(time.Hour)
	require.JSONEq(t, `[{"module":"arena","expires_at":null}]`, member(t, b.do(t, get("/inventory")).Body.Bytes(), "accesses"))
}

func TestWhatWasUsedUpAndThenRefundedIsShownAsNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.Exec(`INSERT INTO purchase_grants (quantity, number, catalog_version, granted_at, customer_id, kind, name, reason, store, environment, transaction_id)
		VALUES (-2, 1, 7, now(), $1, 'item', 'chest', 'revoked', 'app_store', 'production', 't1')`, player)
	require.NoError(t, err)
	require.JSONEq(t, `[{"item":"chest","quantity":0}]`, member(t, b.do(t, get("/inventory")).Body.Bytes(), "items"))
}

func TestTheWalletShowsWhatIsClaimedAsPendingUntilItIsSettled(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) {
		shop := c.Catalog()
		shop.Packages = map[string]economy.Package{
			"gems": {ID: "gems", Products: map[economy.Store][]string{economy.AppStore: {"gems"}}, Credits: economy.Amounts{"GEM": 100, "GOLD": 1}},
		}
		c.Catalog = func() economy.Catalog { return shop }
		c.Provider = providerFunc(func(context.Context, string) (revenuecat.Reading, error) {
			return revenuecat.Reading{Known: true, StartedAt: start, Balances: economy.Amounts{"GEM": 5}}, nil
		})
	})
	committer := newCommitter(t, b.db)
	claims := []economy.Claim{}
	for _, transaction := range []string{"t1", "t2"} {
		claim := economy.Claim{ID: b.newID(), AppUserID: player, Store: economy.AppStore, TransactionID: transaction, ProductID: "gems", ClaimedAt: start}
		_, err := committer.Commit(t.Context(), outbox.Effects{Guard: purchases.Claimed{Claim: claim}})
		require.NoError(t, err)
		claims = append(claims, claim)
	}
	golden(t, "get_wallet_pending", b.do(t, get("/wallet")).Body.Bytes())
	for _, claim := range claims {
		claim.State, claim.SettledAt = economy.ClaimConfirmed, start
		_, err := committer.Commit(t.Context(), outbox.Effects{Guard: purchases.SettledAlone{Claim: claim}})
		require.NoError(t, err)
	}
	w := b.do(t, get("/wallet"))
	require.Equal(t, http.StatusOK, w.Code)
	require.NotContains(t, w.Body.String(), "GOLD")
	require.Contains(t, w.Body.String(), `"pending":0`)
}

// member returns a member of a JSON object.
func member(t *testing.T, object []byte, name string) string {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(object, &members))
	return string(members[name])
}
