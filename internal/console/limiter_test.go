package console

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAllAddressesTogetherAreLimited(t *testing.T) {
	t.Parallel()
	var l loginLimiter
	now := time.Now()
	for i := range globalBurst {
		require.Zero(t, l.take(fmt.Sprintf("10.0.0.%d:1234", i), now))
	}
	require.Positive(t, l.take("10.0.1.1:1234", now), "a guesser with many addresses")
	require.Zero(t, l.take("10.0.1.1:1234", now.Add(globalEvery)))

	l = loginLimiter{}
	for range addressBurst {
		require.Zero(t, l.take("[2001:db8::1]:1", now))
	}
	require.Positive(t, l.take("[2001:db8::ffff]:1", now), "one customer has all of a /64")
	require.Zero(t, l.take("[2001:db8:0:1::1]:1", now))
	require.Zero(t, l.take("no address at all", now))

	l = loginLimiter{}
	for i := range addressesMax + 10 {
		l.take(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now.Add(time.Duration(i)*time.Minute))
	}
	require.LessOrEqual(t, len(l.addresses), addressesMax)
}
