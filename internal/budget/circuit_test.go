package budget

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestWhatSpeaksAgainstTheProvider(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]health{
		0: failed, 500: failed, 502: failed, 503: failed, 504: failed, 408: failed,
		200: alive, 400: alive, 401: alive, 404: alive, 409: alive, 422: alive, 423: alive, 429: alive,
	} {
		assert.Equal(t, want, verdictOf(revenuecat.Call{Status: status}), status)
	}
	assert.Equal(t, noWord, verdictOf(revenuecat.Call{GaveUp: true}))
}

func TestTheCircuitOpensAfterARunOrAShareOfFailures(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	trips := func(calls int, gap time.Duration, verdict func(i int) health) bool {
		var f failures
		for i := range calls {
			if f.note(verdict(i), at.Add(time.Duration(i)*gap)) {
				return true
			}
		}
		return false
	}
	always := func(int) health { return failed }
	assert.True(t, trips(runMax, 200*time.Millisecond, always))
	assert.False(t, trips(runMax-1, 200*time.Millisecond, always))
	assert.False(t, trips(runMax, time.Millisecond, always), "one blow, not a run")
	assert.True(t, trips(60, 100*time.Millisecond, func(i int) health {
		if i%12 == 0 {
			return alive
		}
		return failed
	}))
	assert.False(t, trips(1000, 10*time.Millisecond, func(int) health { return noWord }))
	dice := rand.New(rand.NewPCG(1, 1))
	assert.False(t, trips(2000, 10*time.Millisecond, func(int) health {
		if dice.IntN(3) == 0 {
			return alive
		}
		return failed
	}), "two of three fail: it is worth calling")
}

// fail makes one process see the provider down.
func fail(b *Budget) {
	b.mu.Lock()
	b.breaker.failures.run, b.breaker.failures.since = runMax-1, b.config.Now().Add(-runTime)
	b.mu.Unlock()
	b.Observe(revenuecat.Call{Domain: domain, Status: 503, Detail: "out of order"})
}

// dueNow ends the time the circuit stays open.
func dueNow(t *testing.T, budgets []*Budget) {
	t.Helper()
	_, err := testenv.Postgres(t).ExecContext(t.Context(), `UPDATE provider_circuits SET version = version + 1, probe_at = clock_timestamp() WHERE state = 'open'`)
	require.NoError(t, err)
	for _, b := range budgets {
		require.True(t, b.look(t.Context()))
	}
}

func TestOneProbeOverAllProcesses(t *testing.T) {
	t.Parallel()
	budgets := four(t, testenv.PostgresURL(t))
	fail(budgets[0])
	for _, b := range budgets {
		require.Eventually(t, b.circuitOpen, time.Second, time.Millisecond)
		_, err := b.begin(t.Context(), domain, Live, "p")
		var notYet *NotYet
		require.ErrorAs(t, err, &notYet)
		assert.LessOrEqual(t, notYet.RetryAfter(), openFirst)
	}
	for round, verdict := range []int{503, 0, 200} {
		dueNow(t, budgets)
		probes := race(t, budgets)
		require.Len(t, probes, 1, "round %d", round)
		probes[0].end(t.Context(), verdict)
		for _, b := range budgets {
			require.Eventually(t, func() bool {
				return b.circuitOpen() == (verdict != 200) && (verdict == 200 || b.untilProbe() > openFirst)
			},
				2*time.Second, time.Millisecond)
		}
	}
	a, err := budgets[3].begin(t.Context(), domain, Live, "p")
	require.NoError(t, err)
	assert.False(t, a.probe)
}

// race has every process try to begin calls at once and returns those that may.
func race(t *testing.T, budgets []*Budget) []*attempt {
	t.Helper()
	var (
		mu     sync.Mutex
		begun  []*attempt
		racing sync.WaitGroup
	)
	for _, b := range budgets {
		for range 5 {
			racing.Go(func() {
				a, err := b.begin(t.Context(), domain, Live, "p")
				if err != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				begun = append(begun, a)
			})
		}
	}
	racing.Wait()
	return begun
}

func TestALostProbeIsReplaced(t *testing.T) {
	t.Parallel()
	budgets := four(t, testenv.PostgresURL(t))
	fail(budgets[0])
	dueNow(t, budgets)
	require.Len(t, race(t, budgets), 1) // and its process dies
	_, err := testenv.Postgres(t).ExecContext(t.Context(), `UPDATE provider_circuits SET version = version + 1, probe_until = clock_timestamp() - interval '1 ms'`)
	require.NoError(t, err)
	for _, b := range budgets {
		b.mu.Lock()
		b.breaker.claiming = false
		b.mu.Unlock()
		require.True(t, b.look(t.Context()))
	}
	require.Len(t, race(t, budgets), 1)
}

func TestTheCircuitStaysOpenLongerEachTime(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a")
	fail(b)
	for _, want := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, openMax, openMax} {
		dueNow(t, []*Budget{b})
		a, err := b.begin(t.Context(), domain, Live, "p")
		require.NoError(t, err)
		a.end(t.Context(), 500)
		assert.InDelta(t, want.Seconds(), b.untilProbe().Seconds(), 0.3)
	}
}
