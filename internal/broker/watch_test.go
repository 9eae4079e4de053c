package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAWatcherTakesNothingAway: it sees what is published, and the stream has it all
// the same.
func TestAWatcherTakesNothingAway(t *testing.T) {
	t.Parallel()
	c := connect(t, startServer(t).URL())
	messages, bytes, err := c.StreamSize(t.Context())
	require.NoError(t, err)
	require.Zero(t, messages+bytes, "there is no stream yet")

	require.NoError(t, c.Reconcile(t.Context(), []Durable{charge}))
	seen := make(chan string, 10)
	stop, err := c.Watch(chargeSubject, func(data []byte) { seen <- string(data) })
	require.NoError(t, err)
	publish(t, c, chargeSubject, "one")
	require.NotEmpty(t, <-seen)
	messages, bytes, err = c.StreamSize(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, messages)
	require.Positive(t, bytes)
	infos, err := c.consumers(t.Context())
	require.NoError(t, err)
	require.Len(t, infos, 1, "it is no durable")

	stop()
	publish(t, c, chargeSubject, "two")
	require.Empty(t, seen)
	stop()
}
