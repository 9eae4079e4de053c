package budget

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// world plays processes against one account, on a clock of its own: every step
// some of them lease, calls arrive, and each started call is logged.
type world struct {
	account account
	terms   terms
	now     int64
	waiting map[string]*perWeight
	starts  []int64
	served  map[string]perWeight
	waited  map[string]*[weights]int64 // since when the first of a weight waits, by process
	longest [weights]int64
}

func newWorld(limit int, processes ...string) *world {
	w := &world{
		terms: terms{limit: limit, span: 60_000, lease: 250}, now: 1_000_000_000,
		waiting: map[string]*perWeight{}, served: map[string]perWeight{}, waited: map[string]*[weights]int64{},
	}
	for _, p := range processes {
		w.waiting[p], w.waited[p] = &perWeight{}, &[weights]int64{}
	}
	return w
}

// come adds waiting calls.
func (w *world) come(process string, weight Weight, n int) {
	if w.waiting[process][weight] == 0 {
		w.waited[process][weight] = w.now
	}
	w.waiting[process][weight] += n
}

func (w *world) lease(process string) grant {
	calls := *w.waiting[process]
	g := w.account.lease(w.terms, w.now, ask{process: process, calls: calls, players: calls})
	served := w.served[process]
	for _, weight := range urgent {
		n := g.calls[weight]
		for range n {
			w.starts = append(w.starts, w.now+w.terms.lease) // as late as a permit allows: the worst
		}
		served[weight] += n
		w.waiting[process][weight] -= n
		if n > 0 {
			w.longest[weight] = max(w.longest[weight], w.now-w.waited[process][weight])
			w.waited[process][weight] = w.now
		}
	}
	w.served[process] = served
	return g
}

func (w *world) most() int {
	most, from := 0, 0
	for to, at := range w.starts {
		for w.starts[from] <= at-w.terms.span {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

func TestNoMinuteHasMoreCallsThanTheLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 5, 60, 480, 6000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(1, uint64(limit)))
			w := newWorld(limit, "a", "b", "c")
			for range 20_000 { // ten minutes, with quiet times in between
				w.now += dice.Int64N(60)
				process := string("abc"[dice.IntN(3)])
				if w.now/50_000%3 != 0 {
					w.come(process, Weight(dice.IntN(weights)), dice.IntN(2+limit/100))
				}
				w.lease(process)
			}
			assert.LessOrEqual(t, w.most(), limit)
			assert.Greater(t, len(w.starts), limit, "nothing was tried")
		})
	}
}

func TestALoadedBudgetUsesTheWholeLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(480, "a", "b")
	for range 40 * 240 {
		w.now += 25
		for process := range w.waiting {
			w.waiting[process][Live] = 50
			w.lease(process)
		}
	}
	minutes := 4.0
	assert.Greater(t, float64(len(w.starts)), minutes*480*0.97)
	gap, last := int64(0), w.starts[0]
	for _, at := range w.starts {
		gap, last = max(gap, at-last), at
	}
	assert.Less(t, gap, int64(1500), "the longest silence: a burst must not be paid for with a standstill")
}

func TestWeightsShareAndUnusedSharesAreGivenAway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		wants []Weight
		share perWeight // of 15
	}{
		{"all wait", []Weight{Backfill, Resync, Live, Refund}, perWeight{Backfill: 1, Resync: 2, Live: 4, Refund: 8}},
		{"no refunds", []Weight{Backfill, Resync, Live}, perWeight{Backfill: 2, Resync: 4, Live: 9}},
		{"backfill alone", []Weight{Backfill}, perWeight{Backfill: 15}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(480, "a", "b")
			for range 4 * 60 * 5 {
				w.now += 250
				for i, process := range []string{"a", "b"} {
					for at, weight := range test.wants {
						if len(test.wants) == 1 || at%2 == i { // each weight waits in one process only
							w.waiting[process][weight] = 40
						}
					}
					w.lease(process)
				}
			}
			var sum perWeight
			for _, served := range w.served {
				for weight, n := range served {
					sum[weight] += n
				}
			}
			for weight, want := range test.share {
				assert.InDelta(t, float64(want)/15, float64(sum[weight])/float64(sum.total()), 0.04, Weight(weight).String())
			}
		})
	}
}

func TestTheMostUrgentComesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(480, "a")
	w.account.Tokens, w.account.TokensAt = 1, w.now // one call may start
	for _, weight := range urgent {
		w.come("a", weight, 1)
	}
	var order []Weight
	for range 1000 {
		g := w.lease("a")
		for weight, n := range g.calls {
			for range n {
				order = append(order, Weight(weight))
			}
		}
		w.now += 10
	}
	assert.Equal(t, urgent[:], order)
}

// A weight or process that only ever has one call waiting, and is sent away when
// it is not its turn, is served all the same.
func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{5, 60, 480} {
		w := newWorld(limit, "a", "b")
		for range 60 * 60 * 4 {
			w.now += 250
			w.waiting["a"][Refund], w.waiting["a"][Live] = 20, 20
			if w.waiting["b"][Backfill] == 0 {
				w.come("b", Backfill, 1)
			}
			w.lease("a")
			w.lease("b")
		}
		turn := 60_000 / int64(limit) * 15 // its share is a fifteenth
		assert.Less(t, w.longest[Backfill], 60_000+3*turn, "limit %d", limit)
		assert.Positive(t, w.served["b"][Backfill], "limit %d", limit)
	}
}

func TestProcessesShareByTheirPlayers(t *testing.T) {
	t.Parallel()
	w := newWorld(480, "a", "b")
	for range 4 * 60 * 5 {
		w.now += 250
		w.waiting["a"][Live], w.waiting["b"][Live] = 30, 10
		w.lease("a")
		w.lease("b")
	}
	a, b := float64(w.served["a"][Live]), float64(w.served["b"][Live])
	assert.InDelta(t, 3, a/b, 0.3)
}

func TestADeadProcessHoldsNothingBack(t *testing.T) {
	t.Parallel()
	w := newWorld(480, "a", "dead")
	w.account.Tokens, w.account.TokensAt = 0, w.now
	w.come("dead", Refund, 100)
	w.lease("dead")
	for range 4 * 10 {
		w.now += 250
		w.waiting["a"][Live] = 20
		w.lease("a")
	}
	assert.GreaterOrEqual(t, w.served["a"][Live], 70, "of 80 that ten seconds allow")
}

func TestUnlimitedUntilALimitIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(0, "a")
	w.come("a", Live, 5000)
	require.Equal(t, 5000, w.lease("a").calls[Live])
	w.terms.limit = 480
	w.come("a", Live, 1)
	g := w.lease("a")
	assert.Zero(t, g.calls.total(), "what started before the limit was known counts")
	assert.Greater(t, g.wait, int64(50_000))
}

func TestAReopenedDomainStartsSlowly(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 480} {
		w := newWorld(limit, "a")
		w.terms.closedUntil = w.now + 5000
		w.terms.reopenedAt = w.terms.closedUntil
		started := map[int64]int{} // by second after the reopening
		for range 4 * 20 {
			w.waiting["a"][Live] = 500
			g := w.lease("a")
			if w.now < w.terms.closedUntil {
				require.Zero(t, g.calls.total())
				require.Equal(t, w.terms.closedUntil-w.now, g.wait)
			}
			started[(w.now-w.terms.closedUntil)/1000] += g.calls.total()
			w.now += 250
		}
		assert.InDelta(t, 2, started[0], 1, "limit %d", limit)
		assert.LessOrEqual(t, started[1], 4, "limit %d", limit)
		assert.LessOrEqual(t, started[2], 8, "limit %d", limit)
		if limit == 0 {
			assert.Greater(t, started[11], 1000)
		}
	}
}

func TestOthersOnTheSameKeyAreBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(100, "a")
	w.account.lease(w.terms, w.now, ask{process: "a", usage: 97})
	assert.Equal(t, 97, w.account.Log.used())
	w.account.lease(w.terms, w.now, ask{process: "a", usage: 90})
	assert.Equal(t, 97, w.account.Log.used(), "less than we know is no news")
	w.come("a", Live, 10)
	g := w.lease("a")
	assert.Equal(t, 3, g.calls.total())
}

func TestUnusedPermitsAreGivenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(100, "a")
	w.come("a", Live, 10)
	g := w.lease("a")
	require.Equal(t, 10, w.account.Log.used())
	w.account.lease(w.terms, w.now, ask{process: "a", unused: []counted{{Until: g.until, Calls: 4}, {Until: 1, Calls: 9}}})
	assert.Equal(t, 6, w.account.Log.used())
}

func TestPermitsAreHeldReadyOnlyWhenTheLimitIsFarAway(t *testing.T) {
	t.Parallel()
	w := newWorld(480, "a")
	g := w.account.lease(w.terms, w.now, ask{process: "a", extra: 10})
	assert.Equal(t, 10, g.extra)
	w.account.Log = window{{Until: w.now + 30_000, Calls: 300}}
	g = w.account.lease(w.terms, w.now, ask{process: "a", extra: 10})
	assert.Zero(t, g.extra)
}

// A permit that lapses, or whose call turns out to be needless, costs nobody a call.
func TestWhatIsGivenBackMayStartAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(60, "a")
	w.come("a", Live, 100)
	first := w.lease("a")
	require.Positive(t, first.calls.total())
	w.now += w.terms.lease
	again := w.account.lease(w.terms, w.now, ask{process: "a", calls: perWeight{Live: 100}, players: perWeight{Live: 100},
		unused: []counted{{Until: first.until, Calls: first.calls.total()}}})
	require.Equal(t, first.calls, again.calls)
}
