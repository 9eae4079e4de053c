package broker

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// What somebody does to our messages behind our back is told once, however many
// processes listen.
func TestAdvisoriesAreToldOnceOverAllProcesses(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	told := make(chan Advisory, 16)
	var c *Conn
	for range 2 {
		c = connect(t, server.URL())
		stop, err := c.OnAdvisory(func(a Advisory) { told <- a })
		require.NoError(t, err)
		t.Cleanup(stop)
		require.NoError(t, c.nc.Flush())
	}
	require.NoError(t, c.Reconcile(t.Context(), []Durable{charge}))
	publish(t, c, chargeSubject, "m")
	consumer, err := c.js.Consumer(t.Context(), StreamName, charge.Name())
	require.NoError(t, err)
	batch, err := consumer.Fetch(1)
	require.NoError(t, err)
	for m := range batch.Messages() {
		require.NoError(t, m.TermWithReason("somebody else's hand"))
	}
	require.Equal(t, AdvisoryTerminated, <-told)
	require.NoError(t, c.js.DeleteConsumer(t.Context(), StreamName, charge.Name()))
	require.Equal(t, AdvisoryConsumerDeleted, <-told)
	_, err = c.js.Stream(t.Context(), StreamName)
	require.NotErrorIs(t, err, jetstream.ErrStreamNotFound)
	require.Empty(t, told, "each was told once")
}
