package monitor_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/monitor"
)

// TestAStallIsLoggedOnceAndSoIsItsEnd: what is paused, or waits for a moment, is none.
func TestAStallIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := &monitor.Watchdog{Log: slog.New(slog.NewTextHandler(&log, nil))}
	see := func(stalled time.Duration, paused bool) (stalls, ends int) {
		log.Reset()
		w.Look(t.Context(), monitor.Snapshot{Consumers: []monitor.Lag{
			{Consumer: "adjust", Lane: "live"},
			{Consumer: "fulfil", Lane: "live", Messages: 3, Stalled: monitor.Seconds(stalled), Paused: paused},
		}})
		return strings.Count(log.String(), "consumer stalled"), strings.Count(log.String(), "consumer goes on")
	}
	for i, step := range []struct {
		stalled time.Duration
		paused  bool
		stalls  int
		ends    int
	}{
		{0, false, 0, 0},
		{monitor.StalledAfter - 1, false, 0, 0},
		{monitor.StalledAfter, false, 1, 0},
		{time.Hour, false, 0, 0},
		{0, false, 0, 1},
		{time.Hour, true, 0, 0},
		{time.Hour, false, 1, 0},
		{time.Hour, true, 0, 1},
	} {
		stalls, ends := see(step.stalled, step.paused)
		require.Equal(t, step.stalls, stalls, "step %d: %s", i, &log)
		require.Equal(t, step.ends, ends, "step %d: %s", i, &log)
	}
}
