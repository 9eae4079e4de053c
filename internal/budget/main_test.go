package budget

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const domain = revenuecat.Transactions

// open returns a budget with a pool of its own, as another process would have it.
func open(t *testing.T, url, process string, change ...func(*Config)) *Budget {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 4, Session: map[string]string{"synchronous_commit": "off"}})
	require.NoError(t, err)
	c := Config{DB: db, Listen: postgres.Config{URL: url}, Process: process, Headroom: func(int) int { return 0 }}
	for _, f := range change {
		f(&c)
	}
	b, err := Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { b.Close(); _ = db.Close() })
	if c.Listen.URL != "" {
		require.Eventually(t, b.isHearing, 10*time.Second, time.Millisecond)
	}
	return b
}

func (b *Budget) isHearing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hearing
}

func (b *Budget) circuitOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.breaker.open
}

// four opens four processes' budgets.
func four(t *testing.T, url string, change ...func(*Config)) []*Budget {
	t.Helper()
	var list []*Budget
	for _, process := range []string{"a", "b", "c", "d"} {
		list = append(list, open(t, url, process, change...))
	}
	return list
}

// told makes the limit known, as the header of an answer would.
func told(t *testing.T, b *Budget, limit int) {
	t.Helper()
	b.Observe(revenuecat.Call{Domain: domain, Status: 200, Limit: limit, Used: 1})
	require.Eventually(t, func() bool {
		list, _, err := b.Status(t.Context())
		return err == nil && len(list) == 1 && list[0].Limit == limit
	}, 5*time.Second, time.Millisecond)
}

// moments collects when calls started.
type moments struct {
	mu   sync.Mutex
	list []time.Time
}

func (m *moments) add(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, at)
}

// most is the highest number of moments in any sliding span.
func (m *moments) most(span time.Duration) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	most := 0
	for _, from := range m.list {
		n := 0
		for _, at := range m.list {
			if !at.Before(from) && at.Sub(from) < span {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
