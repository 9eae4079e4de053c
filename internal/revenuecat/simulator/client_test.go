package simulator_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// A third of the calls fails, a third of the rest loses its answer, some are
// locked. Each key is sent until its outcome is definite, from several
// goroutines at once, and then moves its player's balance exactly once.
func TestEachKeyMovesTheBalanceExactlyOnce(t *testing.T) {
	t.Parallel()
	const players, keys, price, held = 8, 25, 3, 60 // 20 of a player's 25 keys are covered
	w := newWorld(t, simulator.Config{Seed: 1})
	client := w.client(t)
	for p := range players {
		w.set(t, fmt.Sprintf("p%d", p), economy.Amounts{"GEM": held})
	}
	w.SetFaults(simulator.Faults{FailBefore: 0.33, LoseAnswer: 0.33, Locked: 0.1, Jitter: time.Millisecond})
	var mu sync.Mutex
	kinds := map[economy.OutcomeKind]int{}
	sent, lost := 0, 0
	var group sync.WaitGroup
	for p := range players {
		for half := range 2 { // two of one player at once: 423
			group.Go(func() {
				for k := half; k < keys; k += 2 {
					key := fmt.Sprintf("p%d-%d:charge", p, k)
					r := revenuecat.Request{CreateCustomer: true, AppUserID: fmt.Sprintf("p%d", p), IdempotencyKey: key,
						Body: revenuecat.Body(economy.Amounts{"GEM": -price}, key),
					}
					outcome := client.Adjust(t.Context(), r)
					tries, unknown := 1, 0
					for ; !outcome.Definite(); tries++ {
						if outcome.Kind == economy.Unknown {
							unknown++
						}
						outcome = client.Adjust(t.Context(), r)
					}
					mu.Lock()
					kinds[outcome.Kind]++
					sent += tries
					lost += unknown
					mu.Unlock()
				}
			})
		}
	}
	group.Wait()
	equal(t, "outcomes", kinds, map[economy.OutcomeKind]int{economy.Applied: players * held / price, economy.Insufficient: players * (keys - held/price)})
	for p := range players {
		id := fmt.Sprintf("p%d", p)
		equal(t, id, w.Balance(id), economy.Amounts{"GEM": 0})
		seen := map[string]int{}
		for _, transaction := range w.Transactions(id) {
			seen[transaction.IdempotencyKey]++
		}
		equal(t, id+" keys", len(seen), held/price)
		for key, n := range seen {
			equal(t, key, n, 1)
		}
	}
	stats := w.Stats()
	if stats.Replayed == 0 || stats.Cut == 0 || stats.ByStatus[423] == 0 || stats.ByStatus[500] == 0 || lost == 0 {
		t.Errorf("the faults did not happen: %+v, %d lost", stats, lost)
	}
	equal(t, "one request for each Adjust", stats.Calls, sent)
	equal(t, "applied", stats.Applied, players*held/price)
}

func TestClientCreatesTheCustomerItSpendsFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	client := w.client(t)
	adjust := func(id, key string, amount economy.Amount) economy.Outcome {
		return client.Adjust(t.Context(), revenuecat.Request{CreateCustomer: true, AppUserID: id, IdempotencyKey: key, Body: revenuecat.Body(economy.Amounts{"GEM": amount}, "")})
	}
	equal(t, "debit", adjust("p1", "k1", -5).Kind, economy.Insufficient)
	equal(t, "credit", adjust("p1", "k2", 5).Balances, economy.Amounts{"GEM": 5})
	equal(t, "an id that cannot be created", adjust("$RCAnonymousID:1", "k3", 5).Kind, economy.Refused)
	equal(t, "unknown currency", client.Adjust(t.Context(), revenuecat.Request{CreateCustomer: true, AppUserID: "p1", IdempotencyKey: "k4", Body: revenuecat.Body(economy.Amounts{"RUBY": -1}, "")}).Kind, economy.Refused)
	equal(t, "a key used for another request", adjust("p1", "k2", 6).Kind, economy.Unknown)
	equal(t, "too much", adjust("p1", "k5", economy.BalanceMax).Kind, economy.Refused)
	reading, err := client.Balances(t.Context(), "p1")
	if err != nil || !reading.Known || !reading.Balances.Equal(economy.Amounts{"GEM": 5}) || reading.Names["GOLD"] != "Gold" {
		t.Errorf("read %+v, %v", reading, err)
	}
	if reading, err = client.Balances(t.Context(), "nobody"); err != nil || reading.Known {
		t.Errorf("nobody: %+v, %v", reading, err)
	}
}

func TestClientKeepsToTheSimulatedLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{RatePerMinute: 3, AutoCreate: true, Now: func() time.Time { return noon }})
	client := w.client(t)
	kinds := map[economy.OutcomeKind]int{}
	for k := range 10 {
		outcome := client.Adjust(t.Context(), revenuecat.Request{CreateCustomer: true, AppUserID: "p1", IdempotencyKey: fmt.Sprint(k), Body: revenuecat.Body(economy.Amounts{"GEM": 1}, "")})
		kinds[outcome.Kind]++
		if outcome.Kind == economy.Temporary && outcome.RetryAfter < 40*time.Second {
			t.Errorf("wait %s, want about 50s", outcome.RetryAfter)
		}
	}
	equal(t, "outcomes", kinds, map[economy.OutcomeKind]int{economy.Applied: 3, economy.Temporary: 7})
	equal(t, "calls that reached the provider", w.Stats().Calls, 4)
	limit := client.Limits()[revenuecat.Transactions]
	equal(t, "limit", []int{limit.PerMinute, limit.Used}, []int{3, 3})
}
