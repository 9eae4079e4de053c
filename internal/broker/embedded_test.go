package broker

import (
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestServerThatLostItsJetStreamEnds: nats-server goes on without JetStream when its
// disk is full; ours ends, says so, and can be started again on its port and store.
func TestServerThatLostItsJetStreamEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := StartEmbedded(EmbeddedConfig{StoreDir: dir, Log: quiet()})
	require.NoError(t, err)
	require.NoError(t, first.server.ShutdownJetStream()) // as out of space does
	<-first.Done()
	require.ErrorContains(t, first.Why(), "JetStream has given up")
	first.Stop() // a stop after the end does nothing

	address, err := url.Parse(first.URL())
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	again, err := StartEmbedded(EmbeddedConfig{StoreDir: dir, Port: port, Log: quiet()})
	require.NoError(t, err)
	require.Equal(t, first.URL(), again.URL())
	again.Stop()
	<-again.Done()
	require.NoError(t, again.Why(), "it was asked to")
}
