package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// tap is one press of a button in the app, with the key the app keeps for it.
type tap struct{ player, item, key string }

// crowd makes players, gives them gems, and returns what they will press and what
// they begin with. Every fourth player is poor: some of their spends are declined.
// Of each player's items every fifth is one that is given back.
func (s *site) crowd(players, spends int) ([]tap, map[string]economy.Amounts) {
	s.t.Helper()
	var taps []tap
	start := map[string]economy.Amounts{}
	for i := range spends { // round by round, so that all players are busy at once
		for j := range players {
			player := fmt.Sprintf("player-%02d", j)
			item := "extra_life" // 50
			switch (i + j) % 5 {
			case 0:
				item = "cursed_relic" // 25, given back
			case 1:
				item = "twin_blade" // two currencies
			}
			taps = append(taps, tap{player, item, fmt.Sprintf("%s-tap-%d", player, i)})
		}
	}
	for j := range players {
		player := fmt.Sprintf("player-%02d", j)
		start[player] = economy.Amounts{"GEM": 10_000, "GOLD": 10_000}
		if j%4 == 3 {
			start[player] = economy.Amounts{"GEM": 130, "GOLD": 200}
		}
		s.give(player, start[player])
	}
	return taps, start
}

// presses is the app's side of a storm: what was answered so far.
type presses struct {
	answered atomic.Int64 // taps that got an answer other than "try again"
	broken   atomic.Int64 // requests without any answer
	again    atomic.Int64 // answers that say "try again": 429 and 503
	mu       sync.Mutex
	spends   map[tap]spendView // as first answered
	took     []time.Duration   // of the requests that were answered
	strange  []string          // answers that an app should never see
}

// pressAll presses every tap, by many clients at once, as an app does: with the
// same key until there is an answer. It returns when all have one.
func (s *site) pressAll(t testing.TB, taps []tap, clients int, prefer string) *presses {
	t.Helper()
	p, wait := s.startPressing(t, taps, clients, prefer)
	wait()
	return p
}

// startPressing is pressAll in the background.
func (s *site) startPressing(t testing.TB, taps []tap, clients int, prefer string) (p *presses, wait func()) {
	t.Helper()
	p = &presses{spends: map[tap]spendView{}}
	tokens := map[string]string{}
	for _, tap := range taps {
		if tokens[tap.player] == "" {
			tokens[tap.player] = session(t, tap.player)
		}
	}
	queue := make(chan tap, len(taps))
	for _, tap := range taps {
		queue <- tap
	}
	close(queue)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for tap := range queue {
				if !s.press(t.Context(), p, tap, tokens[tap.player], prefer) {
					return
				}
			}
		})
	}
	return p, group.Wait
}

// press presses one tap until it is answered; false: the test is over.
func (s *site) press(ctx context.Context, p *presses, pressed tap, token, prefer string) bool {
	body := fmt.Sprintf(`{"item":%q,"idempotencyKey":%q}`, pressed.item, pressed.key)
	for ctx.Err() == nil {
		r, err := s.send(http.MethodPost, "/spend", body,
			"Authorization", "Bearer "+token, "Content-Type", "application/json", "Prefer", prefer)
		switch {
		case err != nil:
			p.broken.Add(1)
		case r.code == http.StatusServiceUnavailable, r.code == http.StatusTooManyRequests:
			p.again.Add(1)
		default:
			p.note(pressed, r)
			return true
		}
		select {
		case <-time.After(2 * tick): // the app's own wait before it tries again
		case <-ctx.Done():
		}
	}
	return false
}

func (p *presses) note(pressed tap, r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.code {
	case http.StatusOK, http.StatusAccepted, http.StatusPaymentRequired, http.StatusInternalServerError:
		p.spends[pressed] = r.Spend
	}
	if r.Spend.ID == "" {
		p.strange = append(p.strange, r.String())
	}
	p.took = append(p.took, r.took)
	p.answered.Add(1)
}
