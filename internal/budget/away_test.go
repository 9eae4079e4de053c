package budget

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestWhoWasSentAwayIsNotOvertaken(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	var memory away
	w := &waiter{player: "a", weight: Live, since: at}
	memory.send(w, at, time.Second, time.Second)
	place := at.Add(memory.expected(Live, "a", at))
	assert.Equal(t, at, memory.since(Live, "a", place))
	assert.Equal(t, place, memory.since(Refund, "a", place))
	assert.Equal(t, place.Add(placeTTL), memory.since(Live, "a", place.Add(placeTTL)), "who never came back is a newcomer")
	memory.served(w)
	assert.Empty(t, memory.notes)
}

// Those who are sent away come back one by one, at the pace of the limit, and
// each in time for its place, however the wait is spread.
func TestThoseSentAwayComeBackOneByOneInTime(t *testing.T) {
	t.Parallel()
	const players, gap = 400, 125 * time.Millisecond // 480 a minute
	now := time.Unix(1_000_000, 0)
	var memory away
	var last time.Duration
	for i := range players {
		w := &waiter{player: fmt.Sprint(i), weight: Live, since: now}
		told := memory.send(w, now, horizon, gap)
		place := horizon + time.Duration(i+1)*gap
		until := memory.expected(Live, w.player, now)
		require.Equal(t, place, until)
		require.LessOrEqual(t, told+told/5, max(place, horizon+horizon/5))
		require.Equal(t, min(told, awayWait), told)
		require.GreaterOrEqual(t, told, last)
		last = told
		require.Equal(t, told, memory.send(w, now, horizon, gap), "another call of the same player")
	}
	again := &waiter{player: "0", weight: Live, since: now}
	later := now.Add(horizon + gap)
	require.Equal(t, horizon, memory.send(again, later, horizon, gap), "not served at its place, it is not put behind the others")
	newcomer := &waiter{player: "new", weight: Live, since: later}
	memory.send(newcomer, later, horizon, gap)
	require.Equal(t, horizon+(players+1)*gap, memory.expected(Live, "new", now), "who comes last is served last")
	require.Equal(t, horizon, memory.send(&waiter{player: "new", weight: Refund}, later, horizon, gap), "other weights do not wait for these")
}

func TestAPauseIsNeverCutShort(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	var memory away
	for i := range 3 {
		require.Equal(t, time.Hour, memory.send(&waiter{player: fmt.Sprint(i), since: now}, now, time.Hour, 0))
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	var memory away
	for i := range awayMax + 10 {
		memory.send(&waiter{player: fmt.Sprint(i), since: now}, now, horizon, 0)
	}
	require.Len(t, memory.notes, awayMax)
	now = now.Add(horizon + placeTTL)
	memory.send(&waiter{player: "new", since: now}, now, horizon, 0)
	require.Len(t, memory.notes, 1, "who never came back makes room")
}

// A player whose place is far away goes away at once while enough others wait, and
// joins the line when they do not: no permit stays unused.
func TestAPlayerSentAwayComesBeforeItsTimeOnlyIfTooFewWait(t *testing.T) {
	t.Parallel()
	b := open(t, testenv.PostgresURL(t), "a")
	told(t, b, 480)
	b.mu.Lock()
	d := b.desk(domain)
	early := &waiter{player: "early", weight: Live, since: b.config.Now()}
	d.away.send(early, b.config.Now(), 20*time.Second, 0)
	other := &waiter{player: "other", weight: Live, since: b.config.Now(), answer: make(chan verdict, 1)}
	d.line.push(other)
	d.room = 1
	b.mu.Unlock()
	_, err := b.Take(t.Context(), domain, Live, "early")
	var notYet *NotYet
	require.ErrorAs(t, err, &notYet)
	assert.Equal(t, whyFull, notYet.Why)
	assert.InDelta(t, 20*awayShare, notYet.After.Seconds(), 1)

	d.wake()
	require.NoError(t, (<-other.answer).err)
	_, err = b.Take(t.Context(), domain, Live, "early")
	require.NoError(t, err)
}
