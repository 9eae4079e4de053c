package main

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

// TestABurstOfRenewalsLeavesPlayersAlone: renewals by the thousand, as of one hour of
// the month, drain on their own lane, each with its effect once, while players spend.
// Long, it is 100,000 of them, and the spends' times are compared.
func TestABurstOfRenewalsLeavesPlayersAlone(t *testing.T) {
	long := os.Getenv("E2E_LONG") != ""
	burst, rounds, c := 2_000, 1, comparison{perSecond: 20, quiet: time.Second}
	if long {
		burst, rounds, c = 100_000, 3, comparison{perSecond: 100, quiet: 90 * time.Second}
	} else {
		t.Parallel()
	}
	burst = sizeFromEnv(t, "E2E_BURST", burst)
	s := newSite(t, "SLUICE_WEBHOOK_AUTHORIZATION="+webhookAuthorization, "SLUICE_WEBHOOK_SIGNING_SECRETS="+webhookSecret).seed().up()
	db := s.database()
	for round := range rounds {
		world := fmt.Sprintf("round%d", round)
		c.round(s, world, func() {
			began := time.Now()
			database, program := processorTime(s.cmd.Process.Pid, s.postmaster())
			s.burst(world, burst)
			taken := time.Since(began)
			for s.t.Context().Err() == nil {
				var owed bool
				if db.GetContext(s.t.Context(), &owed, "SELECT EXISTS (SELECT FROM outbox WHERE consumer = 'access')") == nil && !owed {
					break
				}
				<-time.After(time.Second) // nothing tells when the last one is done, and looking reads what is owed
			}
			took := time.Since(began)
			databaseAfter, programAfter := processorTime(s.cmd.Process.Pid, s.postmaster())
			s.t.Logf("%s: taken after %s, drained after %s: %.0f events/s; processor time per event, that of spends included: PostgreSQL %s, sluice dev %s",
				world, taken.Round(time.Millisecond), took.Round(time.Millisecond), float64(burst)/took.Seconds(),
				(databaseAfter-database)/time.Duration(burst), (programAfter-program)/time.Duration(burst))
		})
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
		c.require(t)
	}
}
