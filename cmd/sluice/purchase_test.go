package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// holdings is what an app shows of a player: wallet and inventory.
type holdings struct {
	Balances map[economy.Currency]struct {
		Balance economy.Amount
		Pending economy.Amount
		AsOf    time.Time `json:"as_of"`
	}
	Items    []struct{ Item string }
	Accesses []struct {
		Module    string
		ExpiresAt *time.Time `json:"expires_at"`
	}
}

func (s *site) holdings(t assert.TestingT, player string) (h holdings) {
	for _, path := range []string{"/wallet", "/inventory"} {
		r, err := s.send(http.MethodGet, path, "", as(s.t, player)...)
		if assert.NoError(t, err) && assert.Equal(t, http.StatusOK, r.code, r) {
			assert.NoError(t, json.Unmarshal([]byte(r.raw), &h))
		}
	}
	return h
}

// settlesWithin is how long a purchase may take to be seen, on a busy machine.
const settlesWithin = time.Minute

// TestPurchaseReachesTheWallet: what a player buys at a store is credited by the
// provider, told by webhooks, and seen in wallet and inventory; and a refund takes
// it back.
func TestPurchaseReachesTheWallet(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	db := s.database()
	s.give("buyer", economy.Amounts{"GEM": 5})
	var bought struct{ Transaction string }
	s.control(http.MethodPost, "/buy", `{"customer":"buyer","product":"starter_pack","store":"app_store","transaction":"t-1"}`, &bought)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		h := s.holdings(t, "buyer")
		assert.EqualValues(t, 255, h.Balances["GEM"].Balance)
		assert.Zero(t, h.Balances["GEM"].Pending)
		assert.Len(t, h.Items, 2)
		if assert.Len(t, h.Accesses, 1) && assert.NotNil(t, h.Accesses[0].ExpiresAt) {
			assert.Equal(t, "arena", h.Accesses[0].Module)
			assert.WithinDuration(t, time.Now().Add(30*24*time.Hour), *h.Accesses[0].ExpiresAt, time.Hour)
		}
	}, settlesWithin, 5*tick)
	require.Equal(t, int64(10), s.inventory(t, "buyer")["extra_life"])
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		var lines []string
		assert.NoError(t, db.Select(&lines, "SELECT kind || ' ' || amount || ' ' || currency FROM provider_movements WHERE app_user_id = 'buyer'"))
		assert.Equal(t, []string{"store_credit 250 GEM"}, lines)
	}, settlesWithin, 5*tick)

	s.control(http.MethodPost, "/refund", `{"transaction":"t-1"}`, nil)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		h := s.holdings(t, "buyer")
		assert.EqualValues(t, 5, h.Balances["GEM"].Balance)
		assert.Empty(t, h.Items)
		assert.Empty(t, h.Accesses)
	}, settlesWithin, 5*tick)
	var dead int
	require.NoError(t, db.Get(&dead, "SELECT count(*) FROM dead_letters"))
	require.Zero(t, dead)
}

// TestTheCopyOfABalanceFollowsWhatTheProviderMoves: without anybody looking.
func TestTheCopyOfABalanceFollowsWhatTheProviderMoves(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	db := s.database()
	s.control(http.MethodPost, "/buy", `{"customer":"away","product":"gems_100","store":"app_store","transaction":"t-1"}`, nil)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		var balance int
		assert.NoError(t, db.Get(&balance, "SELECT coalesce(sum(balance), 0) FROM balances WHERE app_user_id = 'away' AND currency = 'GEM'"))
		assert.Equal(t, 100, balance)
	}, settlesWithin, 5*tick)
}
