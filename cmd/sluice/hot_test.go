package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	logged := append(slices.Clone(f.env), "SLUICE_LOG_LEVEL=debug") // for callStarts
	workers := []*program{launch(t, logged, "work"), launch(t, logged, "work")}
	launch(t, f.env, "relay")
	f.faults(`{"delay":"200ms","rate_per_minute":480}`)
	heldUp := watchMachine(t)
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
	// A call that came in had started in a worker, and the machine may have held it up
	// on the way: what counts is when it started.
	silent := func(moments []time.Time) (last time.Duration) {
		for _, at := range moments {
			if at.After(recorder.refused) && at.Before(until) {
				last = max(last, at.Sub(recorded))
			}
		}
		return last
	}
	starts := slices.Concat(callStarts(t, workers[0]), callStarts(t, workers[1]))
	require.GreaterOrEqual(t, len(starts), len(recorder.calls), "the logs do not say of every call when it started")
	const promised = 50 * time.Millisecond
	machine := heldUp(recorder.refused, recorded.Add(promised)) // while the other worker is told
	t.Logf("the 429 was recorded after %s; the last call started %s later, and the last came in %s later; the machine was held up for %s",
		recorded.Sub(recorder.refused), silent(starts), silent(recorder.calls), machine)
	require.LessOrEqual(t, silent(starts), promised+machine, "calls started while the provider wanted silence")
	require.LessOrEqual(t, silent(recorder.calls), recorder.pause/2, "calls came in while the provider wanted silence")
}

// callStarts reads from a worker's log when its calls to the provider started.
func callStarts(t testing.TB, worker *program) (starts []time.Time) {
	t.Helper()
	for line := range strings.Lines(worker.log.String()) {
		var call struct {
			Msg       string
			Op        string
			StartedAt time.Time `json:"started_at"`
		}
		if json.Unmarshal([]byte(line), &call) == nil && call.Msg == "revenuecat call" && call.Op == "adjust" {
			starts = append(starts, call.StartedAt)
		}
	}
	return starts
}

// watchMachine asks to run every millisecond, and says for how long, between two
// moments, it did not: that much is the machine's, not ours.
func watchMachine(t testing.TB) (heldUp func(from, to time.Time) time.Duration) {
	t.Helper()
	const every = time.Millisecond
	var (
		mu   sync.Mutex
		late = map[time.Time]time.Duration{}
		done = make(chan struct{})
	)
	t.Cleanup(func() { close(done) })
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for before := time.Now(); ; {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			now := time.Now()
			if by := now.Sub(before) - every; by > every {
				mu.Lock()
				late[now] = by
				mu.Unlock()
			}
			before = now
		}
	}()
	return func(from, to time.Time) (sum time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		for at, by := range late {
			if at.After(from) && at.Add(-by).Before(to) {
				sum += by
			}
		}
		return sum
	}
}
