package main

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

const (
	cheapSword = "items:\n  sword: {price: {GEM: 50}}\n"
	dearSword  = "items:\n  sword: {price: {GEM: 60}, hand_over: {port: refuse, reason: out of steel}}\n"
)

// TestHangupReloadsTheCatalogue: a new catalogue holds for new spends from the
// signal on, those under way keep the version they were priced by, no request is
// dropped, and a catalogue that is wrong changes nothing.
func TestHangupReloadsTheCatalogue(t *testing.T) {
	t.Parallel()
	path := writeCatalog(t, cheapSword)
	s := newSite(t, "SLUICE_CATALOG="+path).seed().up()
	s.give("early", economy.Amounts{"GEM": 1000})
	s.give("later", economy.Amounts{"GEM": 1000})
	s.faults(`{"down":true}`) // so that the first spend is under way during the reload

	early := s.spend(t, "early", "sword", "k", "Prefer", "wait=0")
	require.Equal(t, economy.Amounts{"GEM": 50}, early.Spend.Cost, early)
	stop := s.keepAsking(t)
	require.NoError(t, os.WriteFile(path, []byte(dearSword), 0o600))
	s.signal(syscall.SIGHUP)
	s.await(&s.log, "catalogue reloaded")
	later := s.spend(t, "later", "sword", "k", "Prefer", "wait=0")
	require.Equal(t, economy.Amounts{"GEM": 60}, later.Spend.Cost, later)
	repeated := s.spend(t, "early", "sword", "k", "Prefer", "wait=0")
	require.Equal(t, economy.Amounts{"GEM": 50}, repeated.Spend.Cost, "a repeated key keeps its price")

	require.NoError(t, os.WriteFile(path, []byte("items:\n  sword: {price: {GEM: -1}}\n"), 0o600))
	s.signal(syscall.SIGHUP)
	s.await(&s.log, "catalogue not reloaded")
	after := s.spend(t, "later", "sword", "k2", "Prefer", "wait=0")
	require.Equal(t, economy.Amounts{"GEM": 60}, after.Spend.Cost, after)
	stop()

	s.faults(`{}`)
	s.spendAt(t, "early", "/spends/"+early.Spend.ID, "fulfilled") // by the port of its own version
	s.spendAt(t, "later", "/spends/"+later.Spend.ID, "refunded")
	s.spendAt(t, "later", "/spends/"+after.Spend.ID, "refunded")
	require.Equal(t, economy.Amounts{"GEM": 950}, s.balance("early"))
	require.Equal(t, economy.Amounts{"GEM": 1000}, s.balance("later"))
}

// keepAsking sends requests until stop, which fails the test if one of them had
// no answer or another than an accepted spend.
func (s *site) keepAsking(t *testing.T) (stop func()) {
	t.Helper()
	var stopped atomic.Bool
	var group sync.WaitGroup
	var asked atomic.Int64
	failures := make(chan string, 1)
	for i := range 2 {
		s.give(fmt.Sprintf("steady-%d", i), economy.Amounts{"GEM": 100})
		headers := as(t, fmt.Sprintf("steady-%d", i), "Prefer", "respond-async")
		group.Go(func() {
			for n := 0; !stopped.Load(); n++ {
				r, err := s.send(http.MethodPost, "/spend", fmt.Sprintf(`{"item":"sword","idempotencyKey":"%d"}`, n), headers...)
				asked.Add(1)
				if err != nil || r.code != http.StatusAccepted && r.code != http.StatusTooManyRequests {
					select {
					case failures <- fmt.Sprintf("%v %v", err, r):
					default:
					}
				}
			}
		})
	}
	return func() {
		t.Helper()
		require.Eventually(t, func() bool { return asked.Load() > 20 }, startPatience, tick)
		stopped.Store(true)
		group.Wait()
		select {
		case failure := <-failures:
			require.FailNow(t, "a request was dropped", failure)
		default:
		}
	}
}
