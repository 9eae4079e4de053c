package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAcceptedSpendsEndExactlyUnderAHostileProvider: a third of the calls fails
// before anything happens, of the others a third happens and its answer is lost,
// some find the customer locked, and now and then the provider asks for silence.
// Every spend ends all the same, and every gem is where it belongs.
func TestAcceptedSpendsEndExactlyUnderAHostileProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	taps, start := s.crowd(40, 10)
	// Each 429 closes the client's gate for a second, hence so few of them.
	s.faults(`{"fail_before":0.33,"lose_answer":0.33,"locked":0.05,"too_many":0.003,"jitter":"20ms"}`)
	p := s.pressAll(t, taps, 16, "wait=1")
	require.Empty(t, p.strange)
	require.Zero(t, p.broken.Load())
	db := s.database()
	// One in some thousand is unlucky a dozen times in a row and waits for minutes in
	// the end, as it should: so the storm passes when nearly all have got through it.
	require.Eventually(t, func() bool {
		var final int
		err := db.GetContext(t.Context(), &final, "SELECT count(*) FROM spends WHERE state IN ('fulfilled', 'declined', 'refunded')")
		return err == nil && final >= len(taps)*95/100
	}, 2*time.Minute, 5*tick, "the storm holds the spends up")
	s.faults(`{}`)
	awaitRest(t, db, 2*time.Minute)

	var stats struct {
		Applied, Replayed, Cut, Refused int
		ByStatus                        map[int]int `json:"by_status"`
	}
	s.control("GET", "/stats", "", &stats)
	t.Logf("the provider: %+v", stats)
	require.Positive(t, stats.Cut)
	require.Positive(t, stats.Replayed, "no lost answer was asked for again: this tests nothing")
	require.Len(t, s.requireExact(t, db, start), len(taps))
}
