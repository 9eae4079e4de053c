package backfill

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestARunRestsWhileCommitsAreSlowAndNoLonger(t *testing.T) {
	t.Parallel()
	const limit = 15 * time.Millisecond
	var rest time.Duration
	for range 10 {
		rest = nextRest(rest, limit+1, limit)
		require.Positive(t, rest)
	}
	require.Equal(t, restMax, rest, "it never stands still")
	require.Equal(t, restStep, nextRest(0, 2*limit, limit))
	for range 100 {
		rest = nextRest(rest, limit, limit)
	}
	require.Zero(t, rest)
}
