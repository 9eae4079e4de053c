package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// renewalEvent is the renewal of one of a fourth as many customers.
func renewalEvent(world string, n, burst int) string {
	customer, at := fmt.Sprintf("%s-%d", world, n%max(1, burst/4)), time.Now().Add(-time.Minute).UnixMilli()
	return fmt.Sprintf(`{"api_version":"1.0","event":{"id":"%[1]s-event-%[2]d","type":"RENEWAL","event_timestamp_ms":%[3]d,"app_user_id":%[4]q,
		"aliases":[%[4]q,"$RCAnonymousID:%[4]s"],"environment":"PRODUCTION","store":"APP_STORE","transaction_id":"%[1]s-t-%[2]d",
		"original_transaction_id":"%[4]s","product_id":"premium_monthly","purchased_at_ms":%[3]d,"expiration_at_ms":%[5]d,"period_type":"NORMAL",
		"is_family_share":false,"price":9.99,"price_in_purchased_currency":9.99,"currency":"EUR"}}`, world, n, at, customer, at+30*24*3600*1000)
}

// burst sends a burst of renewals and returns when all were taken.
func (s *site) burst(world string, n int) {
	s.t.Helper()
	var next, refused atomic.Int64
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && s.t.Context().Err() == nil; i = int(next.Add(1)) - 1 {
				for {
					r, err := s.webhook(renewalEvent(world, i, n))
					if err == nil && r.code == http.StatusOK {
						break
					}
					refused.Add(1)
					<-time.After(tick) // the provider's own wait before it tries again, shortened
				}
			}
		})
	}
	senders.Wait()
	s.t.Logf("%s: %d events taken, %d tries again", world, n, refused.Load())
}

// spends makes live spends at a steady rate, whatever becomes of the ones before, and
// returns how long each took and how many did not end fulfilled.
func (s *site) spends(world string, perSecond int, stop <-chan struct{}) (took []time.Duration, unfulfilled int) {
	s.t.Helper()
	const players = 100
	tokens := make([]string, players)
	for i := range tokens {
		player := fmt.Sprintf("spender-%d", i)
		tokens[i] = session(s.t, player)
		s.give(player, economy.Amounts{"GEM": 1_000_000})
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	beat := time.NewTicker(time.Second / time.Duration(perSecond))
	defer beat.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			running.Wait()
			return took, unfulfilled
		case <-beat.C:
		}
		running.Go(func() {
			r, err := s.send(http.MethodPost, "/spend", fmt.Sprintf(`{"item":"extra_life","idempotencyKey":"%s-%d"}`, world, i),
				"Authorization", "Bearer "+tokens[i%players], "Content-Type", "application/json")
			mu.Lock()
			defer mu.Unlock()
			took = append(took, r.took)
			if err != nil || r.code != http.StatusOK {
				unfulfilled++
			}
		})
	}
}

// quantile returns the q-quantile of durations.
func quantile(list []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// TestABurstOfRenewalsLeavesPlayersAlone: renewals by the thousand, as of one hour of
// the month, drain on their own lane, each with its effect once, while players spend.
// Long, 100,000 of them, and the spends' times are compared with those of the same run
// before it: p50 within 25 %, p99 within twice as much or 15 ms more; medians of three.
func TestABurstOfRenewalsLeavesPlayersAlone(t *testing.T) {
	long := os.Getenv("E2E_LONG") != ""
	burst, rounds, perSecond, quiet := 2_000, 1, 20, time.Second
	if long {
		burst, rounds, perSecond, quiet = 100_000, 3, 100, 30*time.Second
	} else {
		t.Parallel()
	}
	if n, err := strconv.Atoi(os.Getenv("E2E_BURST")); err == nil { // for a quick look at what an event costs
		burst = n
	}
	s := newSite(t, "SLUICE_WEBHOOK_AUTHORIZATION="+webhookAuthorization, "SLUICE_WEBHOOK_SIGNING_SECRETS="+webhookSecret).seed().up()
	db := s.database()
	var p50s, p99s, allowed50, allowed99 []time.Duration
	for round := range rounds {
		world := fmt.Sprintf("round%d", round)
		ended := make(chan struct{})
		timer := time.AfterFunc(quiet, func() { close(ended) })
		before, lost := s.spends(world+"-before", perSecond, ended)
		timer.Stop()
		require.Zero(t, lost)

		drained := make(chan struct{})
		began := time.Now()
		database, program := processorTime(s.cmd.Process.Pid, s.postmaster())
		go func() {
			defer close(drained)
			s.burst(world, burst)
			taken := time.Since(began)
			for s.t.Context().Err() == nil {
				var owed bool
				if db.GetContext(s.t.Context(), &owed, "SELECT EXISTS (SELECT FROM outbox WHERE consumer = 'access')") == nil && !owed {
					break
				}
				<-time.After(tick) // nothing tells when the last one is done
			}
			took := time.Since(began)
			s.t.Logf("%s: taken after %s, drained after %s: %.0f events/s", world, taken.Round(time.Millisecond), took.Round(time.Millisecond), float64(burst)/took.Seconds())
			databaseAfter, programAfter := processorTime(s.cmd.Process.Pid, s.postmaster())
			s.t.Logf("%s: processor time per event, that of spends included: PostgreSQL %s, sluice dev %s", world, (databaseAfter-database)/time.Duration(burst), (programAfter-program)/time.Duration(burst))
		}()
		during, lost := s.spends(world+"-during", perSecond, drained)
		require.Zero(t, lost, "every spend ended in its item")
		a50, a99, b50, b99 := quantile(before, 0.5), quantile(before, 0.99), quantile(during, 0.5), quantile(during, 0.99)
		t.Logf("%s: before p50 %s p99 %s (%d), during p50 %s p99 %s (%d)", world, a50, a99, len(before), b50, b99, len(during))
		p50s, p99s = append(p50s, b50-a50*5/4), append(p99s, b99-max(2*a99, a99+15*time.Millisecond))
		allowed50, allowed99 = append(allowed50, a50), append(allowed99, a99)
	}
	n := rounds * burst
	for query, want := range map[string]int{
		"SELECT count(*) FROM purchases WHERE version = 1":                             n,
		"SELECT count(*) FROM purchase_versions":                                       n,
		"SELECT count(*) FROM accesses WHERE module = 'premium' AND state = 'granted'": n / 4,
		"SELECT sum(quantity) FROM purchase_grants WHERE name = 'extra_life'":          3 * n,
		"SELECT count(*) FROM purchase_grants WHERE name = 'premium'":                  n,
		"SELECT count(*) FROM dead_letters":                                            0,
		"SELECT count(*) FROM spends WHERE state <> 'fulfilled'":                       0,
	} {
		var got int
		require.NoError(t, db.Get(&got, query))
		require.Equal(t, want, got, query)
	}
	if long {
		require.LessOrEqual(t, quantile(p50s, 0.5), time.Duration(0), "p50 beyond 25 %% of %s", allowed50)
		require.LessOrEqual(t, quantile(p99s, 0.5), time.Duration(0), "p99 beyond twice or 15 ms of %s", allowed99)
	}
}
