package main

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
)

// TestWorkerKilledInTheMiddleOfCalls: two `serve` take spends without a break while
// the two `work` are killed in turn, again and again. In the end one dies for good,
// and its players continue on the other.
func TestWorkerKilledInTheMiddleOfCalls(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	second := f.site
	second.apiAddr = freeAddr(t)
	launch(t, append(f.env, "SLUICE_HTTP_ADDR="+second.apiAddr), "serve")
	launch(t, f.env, "relay")
	logged := append(slices.Clone(f.env), "SLUICE_LOG_LEVEL=debug") // for awaitCalls
	workers := []*program{launch(t, logged, "work"), launch(t, logged, "work")}
	require.Eventually(t, func() bool {
		r, err := second.send(http.MethodGet, "/readyz", "")
		return err == nil && r.code == http.StatusOK
	}, startPatience, tick)
	f.faults(`{"delay":"20ms"}`)
	players, start := f.rich(200)
	db := f.database()
	const every = 50 * time.Millisecond
	first, stopFirst := f.drip(t, "first", players, every, "respond-async")
	other, stopOther := second.drip(t, "second", players, every, "respond-async")

	kills := longer(20, 1000)
	for i := range kills {
		awaitCalls(t, db, workers[i%2])
		workers[i%2].kill()
		workers[i%2] = launch(t, logged, "work")
	}
	survivor, victim := workers[1], workers[0]
	survivor.await(&survivor.log, `"msg":"delivery"`)
	awaitCalls(t, db, victim)
	victim.kill()
	killed, last := time.Now(), count(t, db, "SELECT max(seq) FROM spends")
	require.Eventually(t, func() bool {
		var left int
		err := db.GetContext(t.Context(), &left, "SELECT count(*) FROM spends WHERE seq <= $1 AND state IN ('requested', 'charged', 'refunding')", last)
		return err == nil && left == 0
	}, 15*time.Second, 5*tick, "a player of the killed worker waits")
	t.Logf("the survivor had settled everything after %s", time.Since(killed))
	stopFirst()
	stopOther()
	require.Empty(t, first.strange)
	require.Empty(t, other.strange)
	require.Zero(t, first.broken.Load()+other.broken.Load())
	awaitRest(t, db, time.Minute)
	cut := count(t, db, "SELECT coalesce(sum(attempts - 1), 0) FROM adjustments")
	t.Logf("%d spends, %d calls were cut and made again", first.answered.Load()+other.answered.Load(), cut)
	require.Len(t, f.requireExact(t, db, start), int(first.answered.Load()+other.answered.Load()))
	require.GreaterOrEqual(t, cut, kills/2, "few kills hit a call: this tests little")
}

// awaitCalls waits until a worker works and calls are under way, which take 20 ms:
// leases of ten seconds that began just now tell.
func awaitCalls(t *testing.T, db *sqlx.DB, worker *program) {
	t.Helper()
	worker.await(&worker.log, `"msg":"delivery"`)
	require.Eventually(t, func() bool {
		var open int
		err := db.GetContext(t.Context(), &open, "SELECT count(*) FROM adjustments WHERE state = 'open' AND leased_until > now() + interval '9.9 seconds'")
		return err == nil && open > 1
	}, time.Minute, 2*time.Millisecond, "no calls are under way")
}
