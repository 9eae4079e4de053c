package spendapi

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLimitsHoldUnderConcurrency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all sync.WaitGroup
	codes := make(chan int, 50)
	for i := range 50 {
		all.Go(func() {
			w := b.do(t, post(buy("limited", 1, "k"+string(rune('A'+i))), "Prefer", "respond-async"))
			codes <- w.Code
		})
	}
	all.Wait()
	close(codes)
	count := map[int]int{}
	for code := range codes {
		count[code]++
	}
	require.Equal(t, map[int]int{http.StatusAccepted: 3, http.StatusForbidden: 47}, count)
	var used, spends int
	require.NoError(t, b.db.Get(&used, "SELECT used FROM item_counters"))
	require.NoError(t, b.db.Get(&spends, "SELECT count(*) FROM spends"))
	require.Equal(t, []int{3, 3}, []int{used, spends})
}

func TestOneKeyManyTimesAtOnceIsOneSpend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all sync.WaitGroup
	replayed := make(chan bool, 50)
	for range 50 {
		all.Go(func() {
			w := b.do(t, post(buy("extra_life", 1, "k"), "Prefer", "respond-async"))
			replayed <- w.Code == http.StatusAccepted && w.Header().Get("Idempotency-Replayed") == "true"
		})
	}
	all.Wait()
	close(replayed)
	again := 0
	for r := range replayed {
		if r {
			again++
		}
	}
	require.Equal(t, 49, again)
	var spends, owed int
	require.NoError(t, b.db.Get(&spends, "SELECT count(*) FROM spends"))
	require.NoError(t, b.db.Get(&owed, "SELECT count(*) FROM outbox WHERE consumer = 'adjust'"))
	require.Equal(t, []int{1, 1}, []int{spends, owed})
}
