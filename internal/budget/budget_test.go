package budget

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// short makes a minute last a second, so that a test sees several.
func short(c *Config) { c.Window, c.Lease = time.Second, 50*time.Millisecond }

// load takes permits from every budget, by so many callers each, until ctx ends.
// Callers come back when they are told to.
func load(ctx context.Context, budgets []*Budget, callers int, started func(process int, at time.Time)) *sync.WaitGroup {
	var running sync.WaitGroup
	for i, b := range budgets {
		for caller := range callers {
			running.Go(func() {
				for ctx.Err() == nil {
					_, err := b.Take(ctx, domain, Weight(caller%weights), fmt.Sprint("player", caller))
					if err == nil {
						started(i, time.Now())
						continue
					}
					select { // those sent away come back a little sooner than told: the harder test
					case <-ctx.Done():
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
		}
	}
	return &running
}

func TestFourProcessesStayBelowTheLimitInEverySlidingMinute(t *testing.T) {
	t.Parallel()
	const limit = 60
	budgets := four(t, testenv.PostgresURL(t), short)
	told(t, budgets[0], limit)
	var log moments
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	load(ctx, budgets, 8, func(_ int, at time.Time) { log.add(at) }).Wait()
	// The moment is taken after Take returned: a pause of the test between the two may
	// move calls together. It has not been seen; a little is allowed for it.
	assert.LessOrEqual(t, log.most(time.Second), limit+2)
	// That the limit is used to the full is TestALoadedBudgetUsesTheWholeLimit's.
	assert.Greater(t, len(log.list), limit/2, "too few calls to prove anything")
	t.Logf("%d calls in 4 s, at most %d in one; limit %d", len(log.list), log.most(time.Second), limit)
}

func TestNoCallStartsInAnyProcessAfterA429(t *testing.T) {
	t.Parallel()
	budgets := four(t, testenv.PostgresURL(t)) // no limit is known: only the stop stops them
	var (
		logs  [4]moments
		slow  time.Duration
		heard [4]time.Time
	)
	ctx, cancel := context.WithCancel(t.Context())
	running := load(ctx, budgets, 4, func(process int, at time.Time) {
		logs[process].add(at)
		select { // a call takes some time
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	})
	require.Eventually(t, func() bool { logs[3].mu.Lock(); defer logs[3].mu.Unlock(); return len(logs[3].list) > 20 }, 10*time.Second, time.Millisecond)
	closedAt := time.Now()
	budgets[0].Observe(revenuecat.Call{Domain: domain, Status: 429, Pause: time.Second})
	recordedAt := time.Now()
	for i, b := range budgets {
		require.Eventually(t, func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.config.Now().Before(b.desks[domain].closedUntil)
		}, 900*time.Millisecond, 100*time.Microsecond)
		heard[i] = time.Now()
		slow = max(slow, heard[i].Sub(recordedAt))
	}
	reopensAt := closedAt.Add(time.Second)
	require.Eventually(t, func() bool { return time.Now().After(reopensAt.Add(300 * time.Millisecond)) }, 5*time.Second, 10*time.Millisecond)
	cancel()
	running.Wait()
	for i := range logs {
		after, late := 0, time.Duration(0)
		for _, at := range logs[i].list {
			if at.Before(reopensAt) {
				late = max(late, at.Sub(recordedAt))
			} else {
				after++
			}
			// A call noted just after it was admitted may carry a moment after the notice.
			assert.False(t, at.After(heard[i].Add(10*time.Millisecond)) && at.Before(reopensAt), "process %d started a call after it had heard of the pause", i)
		}
		assert.Less(t, late, 250*time.Millisecond, "process %d; 50 ms where nothing else runs", i)
		assert.Less(t, after, 20, "a slow start")
		t.Logf("process %d: last call %s after the 429 was recorded", i, late)
	}
	t.Logf("all four knew %s after it was recorded", slow)
}

// Permits that would be good for a minute, and no lease that would ask: only the
// notice can stop this process.
func TestANoticeStopsAProcessThatHoldsPermitsReady(t *testing.T) {
	t.Parallel()
	url := testenv.PostgresURL(t)
	b := open(t, url, "a", func(c *Config) { c.Lease = time.Minute })
	other := open(t, url, "b")
	ready := func() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.desks[domain].ready) }
	require.Eventually(t, func() bool { _, err := b.Take(t.Context(), domain, Live, "p"); return err == nil && ready() > 0 },
		10*time.Second, time.Microsecond)
	require.NoError(t, other.Closed(t.Context(), domain, time.Hour))
	recordedAt := time.Now()
	require.Eventually(t, func() bool { return ready() == 0 }, watchInterval/2, 100*time.Microsecond)
	t.Logf("void %s after the pause was recorded", time.Since(recordedAt))
	_, err := b.Take(t.Context(), domain, Live, "p")
	var notYet *NotYet
	require.ErrorAs(t, err, &notYet)
	assert.Equal(t, whyClosed, notYet.Why)
}

func TestARestartKnowsTheLimitAndTheCalls(t *testing.T) {
	t.Parallel()
	url := testenv.PostgresURL(t)
	first := open(t, url, "first")
	told(t, first, 40)
	for range 4 {
		_, err := first.Take(t.Context(), domain, Live, "p")
		require.NoError(t, err)
	}
	first.Close()
	second := open(t, url, "second")
	list, _, err := second.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, 40, list[0].Limit)
	assert.GreaterOrEqual(t, list[0].Used, 5)
	var last error
	for range 3 { // what is left of the burst of five, and then the pace of one in 1.5 s
		_, last = second.Take(t.Context(), domain, Live, "p")
	}
	var notYet *NotYet
	require.ErrorAs(t, last, &notYet)
	assert.Greater(t, notYet.RetryAfter(), time.Second/2)
}

func TestTheNewestLimitCounts(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a", func(c *Config) { c.Headroom = nil })
	told(t, b, 480)
	told(t, b, 100)
	list, _, err := b.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Status{{Domain: domain, Limit: 100, Used: 1}}, list)
	assert.Equal(t, 98, b.limitLeft(100))
	assert.Equal(t, 1, b.limitLeft(1))
}

func TestALostConnectionOfNoticesKeepsNoPermits(t *testing.T) {
	t.Parallel()
	url := testenv.PostgresURL(t)
	deaf := open(t, url, "deaf", func(c *Config) { c.Listen = postgres.Config{} })
	other := open(t, url, "other")
	_, err := deaf.Take(t.Context(), domain, Live, "p")
	require.NoError(t, err)
	require.NoError(t, other.Closed(t.Context(), domain, time.Minute))
	_, err = deaf.Take(t.Context(), domain, Live, "p") // asks PostgreSQL
	var notYet *NotYet
	require.ErrorAs(t, err, &notYet)
	assert.Greater(t, notYet.RetryAfter(), 50*time.Second)
}

func TestALostConnectionOfNoticesIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a")
	b.mu.Lock()
	b.desk(domain).ready = []Permit{{desk: b.desk(domain), until: 1, good: b.config.Now().Add(time.Hour)}}
	heard := b.heard
	b.mu.Unlock()
	_, err := testenv.Postgres(t).ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.heard > heard && len(b.desks[domain].ready) == 0
	}, 5*time.Second, time.Millisecond)
	require.Eventually(t, b.isHearing, 10*time.Second, time.Millisecond)
}

func TestWithoutPostgreSQLNothingStarts(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a")
	require.NoError(t, b.config.DB.Close())
	_, err := b.Take(t.Context(), domain, Live, "p")
	var notYet *NotYet
	require.ErrorAs(t, err, &notYet)
	assert.Equal(t, horizon, notYet.RetryAfter())
}

func TestTakeEndsWithItsContextAndWithTheBudget(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a")
	require.NoError(t, b.Closed(t.Context(), domain, 900*time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := b.Take(ctx, domain, Live, "p")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ended := make(chan error, 1)
	go func() { _, err := b.Take(t.Context(), domain, Live, "p"); ended <- err }()
	b.Close()
	require.Error(t, <-ended)
}

// Quiet times cost few statements: permits are leased for what comes within 250 ms.
func TestManyCallsShareALease(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a")
	const calls = 20_000
	for range calls {
		_, err := b.Take(t.Context(), domain, Live, "p")
		require.NoError(t, err)
	}
	var leases int
	require.NoError(t, testenv.Postgres(t).GetContext(t.Context(), &leases, `SELECT version FROM provider_budgets`))
	assert.Less(t, leases, calls/20)
	t.Logf("%d calls, %d leases", calls, leases)
}

func TestETA(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 29*time.Minute+35*time.Second, eta(480, time.Minute, 1, 14_200, 0))
	assert.Equal(t, 59*time.Minute+10*time.Second+time.Second, eta(480, time.Minute, 0.5, 14_200, time.Second))
	assert.Zero(t, eta(480, time.Minute, 1, 0, time.Hour))
	assert.Equal(t, time.Second, eta(0, time.Minute, 1, 10, time.Second))
	assert.InDelta(t, 4.0/12, share(Live, perWeight{Refund: 1, Live: 9}), 1e-9)
}

func TestWhoOnlyLooksSeesWhatAllKnow(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a")
	told(t, b, 480)
	require.NoError(t, b.Closed(t.Context(), domain, time.Hour))
	fail(b)
	standing, err := Read(t.Context(), b.config.DB)
	require.NoError(t, err)
	require.Len(t, standing.Domains, 1)
	assert.Equal(t, 480, standing.Domains[0].Limit)
	assert.Equal(t, 1, standing.Domains[0].Used)
	assert.Equal(t, CircuitOpen, standing.Circuit)
	assert.NotEmpty(t, standing.Reason)
	assert.Positive(t, standing.ProbeIn)
	assert.InDelta(t, time.Hour+time.Minute, standing.ETA(domain, Live, 480), float64(time.Minute))
	assert.Zero(t, standing.ETA(domain, Live, 0))
	list, circuit, err := b.Status(t.Context())
	require.NoError(t, err)
	assert.InDelta(t, time.Hour, list[0].ClosedFor, float64(time.Minute))
	assert.Equal(t, CircuitOpen, circuit)
	assert.Equal(t, "open", b.Health())
	assert.InDelta(t, time.Hour+time.Minute, b.ETA(domain, Live, 480), float64(time.Minute))
}
