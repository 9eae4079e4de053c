package serving

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheKernelTellsWhatIsQueued: what it has accepted and we have not.
func TestTheKernelTellsWhatIsQueued(t *testing.T) {
	t.Parallel()
	socket, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	d := &door{TCPListener: socket, open: map[*conn]struct{}{}}
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	require.Zero(t, d.queued())
	for range 2 {
		c, err := net.Dial("tcp", socket.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
	}
	require.EqualValues(t, 2, d.queued())
	accepted, err := d.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = accepted.Close() })
	require.EqualValues(t, 1, d.queued())
}
