package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// longTests makes tests as large as the promise they are named after: `make long`.
// Without it they are as small as can be and still prove it. It does not begin
// with SLUICE_, which would be refused as an unknown setting.
const longTests = "E2E_LONG"

// longer returns large in `make long`, else small.
func longer[T any](small, large T) T {
	if os.Getenv(longTests) != "" {
		return large
	}
	return small
}

// riches outlast every test.
var riches = economy.Amounts{"GEM": 1_000_000, "GOLD": 1_000_000}

// rich makes players who can afford everything and returns them with what they
// begin with.
func (s *site) rich(n int) ([]string, map[string]economy.Amounts) {
	s.t.Helper()
	players, start := make([]string, n), map[string]economy.Amounts{}
	for i := range players {
		players[i] = fmt.Sprintf("rich-%03d", i)
		start[players[i]] = riches
		s.give(players[i], riches)
	}
	return players, start
}

// drip presses a tap every so often, the players in turn, until stop, which
// returns when each tap has an answer. Every fifth item is one that is given back.
// name makes the keys of this drip its own.
func (s *site) drip(t testing.TB, name string, players []string, every time.Duration, prefer string) (p *presses, stop func()) {
	t.Helper()
	p = &presses{spends: map[tap]spendView{}}
	tokens := make([]string, len(players))
	for i, player := range players {
		tokens[i] = session(t, player)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		items := []string{"extra_life", "twin_blade", "extra_life", "extra_life", "cursed_relic"}
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			which := i % len(players)
			pressed := tap{players[which], items[(i+i/len(players))%len(items)], fmt.Sprintf("%s-%d", name, i)}
			group.Go(func() { s.press(t.Context(), p, pressed, tokens[which], prefer) })
		}
	})
	return p, func() { cancel(); group.Wait() }
}

// count reads a number from the database.
func count(t testing.TB, db *sqlx.DB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.GetContext(t.Context(), &n, query, args...))
	return n
}

// pass lets time pass while a test's traffic goes on.
func pass(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
