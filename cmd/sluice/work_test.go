package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// TestWorkConcurrencyBoundsWhatIsInHand: with two deliveries in hand, the calls of
// two players are under way, and the others wait for their turn.
func TestWorkConcurrencyBoundsWhatIsInHand(t *testing.T) {
	t.Parallel()
	s := newSite(t, "SLUICE_WORK_CONCURRENCY=2").seed().up()
	db := s.database()
	s.faults(`{"delay":"5m"}`)
	var locations []string
	players := []string{"one", "two", "three", "four", "five"}
	for _, player := range players {
		s.give(player, economy.Amounts{"GEM": 50})
		r := s.spend(t, player, "extra_life", "k", "Prefer", "respond-async")
		require.Equal(t, http.StatusAccepted, r.code, r)
		locations = append(locations, r.header.Get("Location"))
	}
	open := func() (n int) {
		if err := db.GetContext(t.Context(), &n, "SELECT count(*) FROM adjustments WHERE state = 'open'"); err != nil {
			return -1
		}
		return n
	}
	require.Eventually(t, func() bool { return open() == 2 }, startPatience, tick)
	require.Never(t, func() bool { return open() > 2 }, time.Second, tick, "more are in hand than allowed")
	s.faults(`{}`)
	for i, location := range locations {
		s.spendAt(t, players[i], location, "fulfilled")
	}
}
