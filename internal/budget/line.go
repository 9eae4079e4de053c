package budget

import (
	"slices"
	"time"
)

// waiter is one Take that waits.
type waiter struct {
	player string
	weight Weight
	since  time.Time    // when its player came, or was last served
	answer chan verdict // one verdict, buffered
}

// verdict ends a wait: a permit, or why there is none.
type verdict struct {
	permit Permit
	err    error
}

// line holds those who wait in this process. Within a weight the players take
// turns: whoever waits longest since coming, or since being served, is next.
type line struct {
	weights [weights][]*turn // sorted by since
}

// turn is one player's waiters of one weight, first come first.
type turn struct {
	player  string
	since   time.Time
	waiters []*waiter
}

// push adds a waiter at its player's place.
func (l *line) push(w *waiter) {
	turns := l.weights[w.weight]
	for _, t := range turns {
		if t.player == w.player {
			t.waiters = append(t.waiters, w)
			return
		}
	}
	l.insert(w.weight, &turn{player: w.player, since: w.since, waiters: []*waiter{w}})
}

func (l *line) insert(weight Weight, t *turn) {
	at, _ := slices.BinarySearchFunc(l.weights[weight], t.since, func(other *turn, since time.Time) int {
		if other.since.After(since) {
			return 1
		}
		return -1 // behind those who came at the same moment
	})
	l.weights[weight] = slices.Insert(l.weights[weight], at, t)
}

// pop takes the next waiter of a weight out; nil when none waits. Its player, if
// more of theirs wait, goes behind all others.
func (l *line) pop(weight Weight, now time.Time) *waiter {
	turns := l.weights[weight]
	if len(turns) == 0 {
		return nil
	}
	first := turns[0]
	l.weights[weight] = slices.Delete(turns, 0, 1)
	w := first.waiters[0]
	if first.waiters = first.waiters[1:]; len(first.waiters) > 0 {
		first.since, first.waiters[0].since = now, now
		l.insert(weight, first)
	}
	return w
}

// remove takes a waiter out who gave up. false: it is no longer there.
func (l *line) remove(w *waiter) bool {
	for i, t := range l.weights[w.weight] {
		if t.player != w.player {
			continue
		}
		at := slices.Index(t.waiters, w)
		if at < 0 {
			return false
		}
		if t.waiters = slices.Delete(t.waiters, at, at+1); len(t.waiters) == 0 {
			l.weights[w.weight] = slices.Delete(l.weights[w.weight], i, i+1)
		}
		return true
	}
	return false
}

// cut takes out those of a weight who would be served after the first keep, in the
// order in which they would be.
func (l *line) cut(weight Weight, keep int, now time.Time) []*waiter {
	if l.calls()[weight] <= keep {
		return nil
	}
	var order []*waiter
	for w := l.pop(weight, now); w != nil; w = l.pop(weight, now) {
		order = append(order, w)
	}
	for _, w := range order[:keep] {
		l.push(w)
	}
	return order[keep:]
}

// calls is how many wait; players is whose they are.
func (l *line) calls() perWeight {
	var calls perWeight
	for w, turns := range l.weights {
		for _, t := range turns {
			calls[w] += len(t.waiters)
		}
	}
	return calls
}

func (l *line) players() perWeight {
	var players perWeight
	for w, turns := range l.weights {
		players[w] = len(turns)
	}
	return players
}
