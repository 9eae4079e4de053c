package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHotPlayersAreChargedTogether: 20 players press 20 times each, at once, while
// the provider takes 200 ms a call and allows 480 a minute to two workers. At
// least five spends are settled by one call, in the order of their acceptance, and
// when the provider asks for silence it is silence, in both workers.
func TestHotPlayersAreChargedTogether(t *testing.T) {
	t.Parallel()
	const players, presses = 20, 20
	const spends = players * presses
	recorder := newRecorder(t, 15, 2*time.Second)
	f := newFarm(t, "SLUICE_REVENUECAT_URL="+recorder.URL+"/v2")
	recorder.aim(f.simAddr)
	launch(t, f.env, "work")
	launch(t, f.env, "work")
	launch(t, f.env, "relay")
	f.faults(`{"delay":"200ms","rate_per_minute":480}`)
	hot, start := f.rich(players)
	var taps []tap
	for i := range presses {
		for _, player := range hot {
			taps = append(taps, tap{player, "extra_life", fmt.Sprintf("%s-%d", player, i)})
		}
	}
	began := time.Now()
	p := f.pressAll(t, taps, 32, "respond-async")
	require.Empty(t, p.strange)
	t.Logf("%d spends accepted in %s", spends, time.Since(began))
	db := f.database()
	awaitRest(t, db, time.Minute)
	t.Logf("all final %s after the first", time.Since(began))
	require.Len(t, f.requireExact(t, db, start), spends)
	require.Equal(t, spends, count(t, db, "SELECT count(*) FROM spends WHERE state = 'fulfilled'"))

	recorder.mu.Lock()
	defer recorder.mu.Unlock()
	t.Logf("%.1f spends per call", float64(spends)/float64(len(recorder.calls)))
	require.LessOrEqual(t, len(recorder.calls), spends/5, "less than five spends per call")
	require.Zero(t, count(t, db, `SELECT count(*) FROM (
		SELECT l.entered_at < lag(l.entered_at) OVER (PARTITION BY s.app_user_id ORDER BY s.seq) AS early
		FROM ledger_entries l JOIN spends s ON s.id = l.spend_id WHERE l.kind = 'charge') lines WHERE early`), "charged out of order")

	require.False(t, recorder.refused.IsZero(), "no call was refused: this tests nothing")
	var until time.Time // of the one pause there was
	require.NoError(t, db.GetContext(t.Context(), &until, "SELECT max(closed_until) FROM provider_budgets"))
	recorded := until.Add(-recorder.pause)
	require.WithinDuration(t, recorder.refused, recorded, 5*time.Second)
	last := time.Duration(0)
	for _, at := range recorder.calls {
		if at.After(recorder.refused) && at.Before(recorder.refused.Add(recorder.pause)) {
			last = max(last, at.Sub(recorded))
		}
	}
	t.Logf("the 429 was recorded after %s, and the last call came in %s later", recorded.Sub(recorder.refused), last)
	// The promise is 50 ms. A call is seen when it comes in, not when it starts, and
	// beside other tests the machine may hold it up on the way.
	require.LessOrEqual(t, last, longer(250*time.Millisecond, 50*time.Millisecond), "calls came in while the provider wanted silence")
}
