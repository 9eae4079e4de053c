package handover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCircuitOpensProbesAndCloses(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var c circuit
	ask := func(o Outcome) {
		require.Zero(t, c.wait(now))
		c.admit()
		c.note(o, c.open, now)
	}
	bad, good := Outcome{Kind: Failed, Detail: "answered 503"}, Outcome{Kind: Refused}
	for range 3 {
		for range runMax - 1 {
			ask(bad)
		}
		ask(good)
	}
	require.Equal(t, circuit{}, c, "answers between failures keep it closed")
	began := now
	for range runMax {
		ask(bad)
	}
	require.Equal(t, openFirst, c.wait(now))
	require.Equal(t, 2, c.state(now))

	for _, next := range []time.Duration{2 * openFirst, 4 * openFirst, 8 * openFirst, openMax, openMax} {
		now = now.Add(c.wait(now))
		require.Equal(t, 1, c.state(now))
		c.admit()
		require.Positive(t, c.wait(now), "one probe at a time")
		c.note(Outcome{Kind: Granted}, false, now) // sent before it opened
		require.True(t, c.open)
		require.Equal(t, began, c.since, "nor ends the trouble")
		c.note(bad, true, now)
		require.Equal(t, next, c.wait(now))
	}
	now = now.Add(openMax)
	ask(Outcome{Kind: Later}) // the caller of the probe gave up: the next one probes
	require.True(t, c.open)
	ask(good)
	require.Equal(t, circuit{}, c)
}

func TestCircuitPausesWhenAsked(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var c circuit
	c.note(Outcome{Kind: Failed, After: time.Minute}, false, now)
	c.note(Outcome{Kind: Failed, After: time.Second}, false, now)
	c.note(Outcome{Kind: Granted}, false, now)
	require.Equal(t, time.Minute, c.wait(now), "the longest pause holds, whoever else is still answered")
	require.Zero(t, c.state(now))
	require.Zero(t, c.wait(now.Add(time.Minute)))
}
