package budget

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func players(list []*waiter) string {
	text := ""
	for _, w := range list {
		text += w.player
	}
	return text
}

func TestPlayersTakeTurns(t *testing.T) {
	t.Parallel()
	var l line
	at := time.Unix(0, 0)
	for _, player := range "aaaabbc" {
		at = at.Add(time.Second)
		l.push(&waiter{player: string(player), weight: Live, since: at})
	}
	assert.Equal(t, perWeight{Live: 7}, l.calls())
	assert.Equal(t, perWeight{Live: 3}, l.players())
	var order []*waiter
	for w := l.pop(Live, at); w != nil; w = l.pop(Live, at) {
		at = at.Add(time.Second)
		order = append(order, w)
	}
	assert.Equal(t, "abcabaa", players(order))
}

func TestThoseServedLastAreSentAway(t *testing.T) {
	t.Parallel()
	var l line
	at := time.Unix(0, 0)
	for _, player := range "aaabc" {
		l.push(&waiter{player: string(player), weight: Live, since: at})
		at = at.Add(time.Second)
	}
	assert.Equal(t, "aa", players(l.cut(Live, 3, at)))
	assert.Empty(t, l.cut(Live, 3, at))
	assert.Equal(t, perWeight{Live: 3}, l.calls())
}

func TestWhoGivesUpLeavesTheLine(t *testing.T) {
	t.Parallel()
	var l line
	first, second := &waiter{player: "a"}, &waiter{player: "a"}
	l.push(first)
	l.push(second)
	assert.True(t, l.remove(first))
	assert.False(t, l.remove(first))
	assert.Same(t, second, l.pop(Backfill, time.Time{}))
	assert.Nil(t, l.pop(Backfill, time.Time{}))
}
