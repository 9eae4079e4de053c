package main

import (
	"fmt"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// waitInVain posts n spends of a player that wait for an outcome the provider
// does not give, and returns once all of them are accepted. The answers come
// through the channel; what got none is missing there when it is closed.
func (s *site) waitInVain(t *testing.T, db *sqlx.DB, player string, n int) <-chan reply {
	t.Helper()
	answers, headers := make(chan reply, n), as(t, player, "Prefer", "wait=30")
	done := make(chan struct{}, n)
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			r, err := s.send(http.MethodPost, "/spend", fmt.Sprintf(`{"item":"extra_life","idempotencyKey":"%d"}`, i), headers...)
			if err == nil {
				answers <- r
			}
		}()
	}
	go func() {
		for range n {
			<-done
		}
		close(answers)
	}()
	require.Eventually(t, func() bool {
		var accepted int
		err := db.GetContext(t.Context(), &accepted, "SELECT count(*) FROM spends WHERE app_user_id = $1", player)
		return err == nil && accepted == n
	}, time.Minute, tick, "the spends are not accepted")
	return answers
}

// TestDrain: SIGTERM answers the requests that wait, and the process ends well;
// what it had in hand is brought to its end by the next one.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	s.give("waiting", economy.Amounts{"GEM": 1000})
	s.faults(`{"down":true}`)
	const n = 8
	answers := s.waitInVain(t, s.database(), "waiting", n)
	s.signal(syscall.SIGTERM)
	answered := 0
	for r := range answers {
		require.Equal(t, http.StatusAccepted, r.code, r)
		require.Equal(t, "/spends/"+r.Spend.ID, r.header.Get("Location"))
		require.Less(t, r.took, 25*time.Second, "it waited to its end")
		answered++
	}
	require.Equal(t, n, answered, "a request lost its answer")
	require.Zero(t, s.exitCode(), s.log.tail())

	s.up()
	db := s.database()
	awaitRest(t, db, time.Minute)
	require.Len(t, s.requireExact(t, db, map[string]economy.Amounts{"waiting": {"GEM": 1000}}), n)
}

// openUnused opens a connection to the API that is never used, as browsers do.
func (s *site) openUnused(t *testing.T) {
	t.Helper()
	unused, err := net.Dial("tcp", s.apiAddr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unused.Close() })
}

// TestStopTellsLoadBalancersFirst: for the grace /readyz says that it drains while
// everything is still answered; then the requests that wait are told how their spends
// stand, and every answer asks its client to close.
func TestStopTellsLoadBalancersFirst(t *testing.T) {
	t.Parallel()
	f := newFarm(t, "SLUICE_HTTP_DRAIN_GRACE=2s") // without `work`, spends wait in vain
	const n = 4
	answers := f.waitInVain(t, f.database(), "waiting", n)
	f.openUnused(t)
	f.serve.signal(syscall.SIGTERM)
	f.awaitReady(http.StatusServiceUnavailable, `"draining"`)
	late := f.spend(t, "late", "extra_life", "k", "Prefer", "respond-async")
	require.Equal(t, http.StatusAccepted, late.code, late)
	require.True(t, late.last, "the client may send more on this connection")
	answered := 0
	for r := range answers {
		require.Equal(t, http.StatusAccepted, r.code, r)
		require.Equal(t, "/spends/"+r.Spend.ID, r.header.Get("Location"))
		require.Equal(t, "requested", r.Spend.State)
		require.True(t, r.last, "the client may send more on this connection")
		answered++
	}
	require.Equal(t, n, answered, "a request lost its answer")
	require.Zero(t, f.serve.exitCode(), f.serve.log.tail())
	for _, line := range []string{
		`"msg":"stopping: load balancers take us off their lists","grace_ms":2000`,
		`"msg":"stopping: requests in hand are answered","requests":4`, `"msg":"stopped","role":"serve","duration_ms":`,
	} {
		require.True(t, f.serve.log.has(line), line)
	}
	require.Equal(t, n+1, count(t, f.database(), "SELECT count(*) FROM spends"))
}

// TestSecondSignalEndsAtOnce: a drain that takes too long for the operator is cut
// short, and costs nothing but the next start's time.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	s.give("waiting", economy.Amounts{"GEM": 1000})
	s.faults(`{"delay":"5m"}`)
	db := s.database()
	answers := s.waitInVain(t, db, "waiting", 1)
	require.Eventually(t, func() bool {
		var open int
		return db.GetContext(t.Context(), &open, "SELECT count(*) FROM adjustments WHERE state = 'open'") == nil && open == 1
	}, time.Minute, tick, "no call is in hand")
	s.signal(syscall.SIGTERM)
	s.signal(syscall.SIGTERM)                               // as timeout(1) does: no second one
	require.Equal(t, http.StatusAccepted, (<-answers).code) // the drain has begun
	pass(t, sameSignal)
	require.True(t, s.running(), "there is nothing in hand to wait for: this tests nothing")
	second := time.Now()
	s.signal(syscall.SIGTERM)
	require.Equal(t, exitFailed, s.exitCode())
	require.Less(t, time.Since(second), 4*time.Second)

	s.up()
	again := s.database()
	awaitRest(t, again, time.Minute)
	require.Len(t, s.requireExact(t, again, map[string]economy.Amounts{"waiting": {"GEM": 1000}}), 1)
}
