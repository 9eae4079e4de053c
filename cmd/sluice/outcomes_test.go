package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// moreItems are what the demo catalogue lacks: a currency that the provider does
// not have, and an item whose time has not come.
const moreItems = `
  ruby_ring:
    price: {RUBY: 1}
  future_hat:
    price: {GEM: 75}
    available_from: 2999-01-01T00:00:00Z
`

// TestEveryStatusOfPostSpend asks one `sluice dev`, on a folder it has to make by
// itself, for every status there is but 503, which needs a database that is down:
// see TestSeparateProcesses.
func TestEveryStatusOfPostSpend(t *testing.T) {
	t.Parallel()
	s := newSite(t, "SLUICE_CATALOG="+writeCatalog(t, demoCatalogWith(t, moreItems))).up()
	t.Run("every call that is described", everyDescribedCall(s))
	t.Run("200 fulfilled", fulfilled(s))
	t.Run("200 handed over by the sample game", handedOverByTheSampleGame(s))
	t.Run("402 not enough", notEnough(s))
	t.Run("500 given back", givenBack(s))
	t.Run("502 refused by the provider", refusedByProvider(s))
	t.Run("202 at once", acceptedAtOnce(s))
	t.Run("400 bad requests", badRequests(s))
	t.Run("the key in the header", keyInHeader(s))
	t.Run("401 no session", unauthenticated(s))
	t.Run("403 not for sale", notForSale(s))
	t.Run("409 key of another request", keyReused(s))
	t.Run("413 and 415 bad bodies", badBodies(s))
	t.Run("429 too many", tooMany(s))
	t.Run("202 while the provider is down", acceptedWhileDown(s))
}

func fulfilled(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("rich", economy.Amounts{"GEM": 1000})
		r := s.post(t, `{"item":"extra_life","quantity":3,"idempotencyKey":"k","unknown":[1]}`, as(t, "rich")...)
		require.Equal(t, http.StatusOK, r.code, r)
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
		require.True(t, r.OK)
		require.Equal(t, spendView{ID: r.Spend.ID, State: "fulfilled", Item: "extra_life", Quantity: 3, Cost: economy.Amounts{"GEM": 150}}, r.Spend)
		require.Len(t, r.Granted, 1)
		require.JSONEq(t, `{"item":"extra_life","quantity":3}`, string(r.Granted[0]))
		require.Empty(t, r.header.Get("Idempotency-Replayed"))

		again := s.post(t, `{"item":"extra_life","quantity":3,"idempotencyKey":"k"}`, as(t, "rich")...)
		require.Equal(t, http.StatusOK, again.code, again)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Equal(t, r.Spend, again.Spend)
		require.Equal(t, economy.Amounts{"GEM": 850}, s.balance("rich"))
		require.Equal(t, map[string]int64{"extra_life": 3}, s.inventory(t, "rich"))

		other := s.get(t, "somebody_else", "/spends/"+r.Spend.ID)
		requireProblem(t, other, http.StatusNotFound, "not-found")
	}
}

func notEnough(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("poor", economy.Amounts{"GEM": 49})
		r := s.spend(t, "poor", "extra_life", "k")
		requireProblem(t, r, http.StatusPaymentRequired, "insufficient-funds")
		require.Equal(t, "declined", r.Spend.State)
		require.Equal(t, "insufficient_funds", r.Spend.Reason)

		s.give("poor", economy.Amounts{"GEM": 1000})
		again := s.spend(t, "poor", "extra_life", "k")
		requireProblem(t, again, http.StatusPaymentRequired, "insufficient-funds")
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Equal(t, r.Spend, again.Spend)
		require.Equal(t, economy.Amounts{"GEM": 1000}, s.balance("poor"))
		requireProblem(t, s.spend(t, "never_seen", "extra_life", "k"), http.StatusPaymentRequired, "insufficient-funds")
	}
}

func givenBack(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("cursed", economy.Amounts{"GEM": 100})
		r := s.spend(t, "cursed", "cursed_relic", "k")
		requireProblem(t, r, http.StatusInternalServerError, "item-not-handed-over")
		require.Equal(t, "refunded", r.Spend.State)
		require.Equal(t, economy.Amounts{"GEM": 100}, s.balance("cursed"))
		require.Empty(t, s.inventory(t, "cursed"))
	}
}

func refusedByProvider(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("ruby", economy.Amounts{"GEM": 100})
		for player, item := range map[string]string{
			"ruby":            "ruby_ring",  // 400 of the provider
			"two words/and ü": "extra_life", // 404, and this customer cannot be created
			"..":              "extra_life", // cannot stand in an address
		} {
			r := s.spend(t, player, item, "k")
			requireProblem(t, r, http.StatusBadGateway, "provider-refused")
			require.Equal(t, "declined", r.Spend.State)
			require.Equal(t, "provider_refused", r.Spend.Reason)
		}
	}
}

func acceptedAtOnce(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("asynchronous", economy.Amounts{"GEM": 100})
		r := s.spend(t, "asynchronous", "extra_life", "k", "Prefer", "respond-async")
		require.Equal(t, http.StatusAccepted, r.code, r)
		require.Equal(t, "respond-async", r.header.Get("Preference-Applied"))
		require.Equal(t, "/spends/"+r.Spend.ID, r.header.Get("Location"))
		require.NotContains(t, r.raw, `"ok"`)
		s.spendAt(t, "asynchronous", r.header.Get("Location"), "fulfilled")
	}
}

func acceptedWhileDown(s *site) func(*testing.T) {
	return func(t *testing.T) {
		s.give("patient", economy.Amounts{"GEM": 100})
		s.faults(`{"down":true}`)
		locations := map[string]string{}
		for _, wait := range []string{"wait=0", "wait=1"} {
			r := s.spend(t, "patient", "extra_life", wait, "Prefer", wait)
			require.Equal(t, http.StatusAccepted, r.code, r)
			require.Equal(t, wait, r.header.Get("Preference-Applied"))
			require.Equal(t, "/spends/"+r.Spend.ID, r.header.Get("Location"))
			require.Equal(t, wait == "wait=1", r.took >= time.Second, r.took)
			locations[wait] = r.header.Get("Location")
		}
		again := s.spend(t, "patient", "extra_life", "wait=0")
		require.Equal(t, http.StatusAccepted, again.code, again)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		s.faults(`{}`)
		for _, location := range locations {
			s.spendAt(t, "patient", location, "fulfilled")
		}
		require.Equal(t, economy.Amounts{"GEM": 0}, s.balance("patient"))
	}
}
