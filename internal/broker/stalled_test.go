package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAStallIsWaitingWithoutADelivery: what waits ages while nobody takes it, and no
// longer than since something was taken last.
func TestAStallIsWaitingWithoutADelivery(t *testing.T) {
	t.Parallel()
	c := start(t, charge)
	stalled := func() time.Duration {
		lags, err := c.Lag(t.Context())
		require.NoError(t, err)
		require.NoError(t, lags[0].Err)
		return lags[0].Stalled
	}
	require.Zero(t, stalled(), "nothing waits")
	const a = 300 * time.Millisecond
	began := time.Now()
	publish(t, c, chargeSubject, "a")
	publish(t, c, chargeSubject, "b")
	eventually(t, func() bool { return stalled() > a }, "nobody takes them")
	require.LessOrEqual(t, stalled(), time.Since(began))

	// One is taken and stays in hand: the other waits since then, whatever its age.
	one := charge
	one.MaxInFlight = 1
	taken := time.Now()
	next(t, subscribe(t, c, one))
	require.LessOrEqual(t, stalled(), time.Since(taken))
	eventually(t, func() bool { return stalled() > a }, "nobody takes the other")
}
