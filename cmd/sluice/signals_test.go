package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSignalsThatComeTogetherAreOne: timeout(1) sends every signal twice.
func TestSignalsThatComeTogetherAreOne(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for name, test := range map[string]struct {
		after []time.Duration // the first at 0
		ended bool
	}{
		"one":                            {[]time.Duration{0}, false},
		"one, told twice":                {[]time.Duration{0, time.Millisecond}, false},
		"one, told by everybody":         {[]time.Duration{0, 0, 0, sameSignal - 1}, false},
		"two":                            {[]time.Duration{0, sameSignal}, true},
		"one, told twice, and a second":  {[]time.Duration{0, 0, time.Second}, true},
		"two, and the second told twice": {[]time.Duration{0, time.Second, time.Second}, true},
	} {
		signals := make(chan os.Signal, len(test.after))
		for range test.after {
			signals <- syscall.SIGTERM
		}
		close(signals)
		at, drained, ended := -1, 0, 0
		obey(signals, func() time.Time { at++; return start.Add(test.after[at]) }, func() { drained++ }, func() { ended++ })
		require.Equal(t, 1, drained, name)
		require.Equal(t, test.ended, ended == 1, name)
		require.LessOrEqual(t, ended, 1, name)
	}
}
