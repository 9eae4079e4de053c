package monitor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/monitor"
)

// at is a moment, minutes after the beginning.
func at(minutes int) time.Time {
	return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

func TestSilenceIsNoWebhookForTooLongWhileTheGameGoesOn(t *testing.T) {
	t.Parallel()
	const after, never = 360, -1
	moment := func(minutes int) time.Time {
		if minutes == never {
			return time.Time{}
		}
		return at(minutes)
	}
	for name, c := range map[string]struct {
		since, last, activity, resolved, now int
		from                                 int // never: there is no silence
	}{
		"webhooks are not taken":                    {never, never, 9999, never, 10_000, never},
		"the last webhook is young":                 {0, 100, 455, never, 460, never},
		"it is too old, and players spend":          {0, 100, 455, never, 461, 100},
		"it is too old, and players spent before":   {0, 100, 99, never, 461, never},
		"it is too old, and players sleep":          {0, 100, 110, never, 470, never},
		"players wake up":                           {0, 100, 900, never, 901, 100},
		"none ever came, for too long":              {50, never, 405, never, 411, 50},
		"none ever came, but not for long":          {50, never, 405, never, 409, never},
		"the last one came before webhooks counted": {500, 100, 850, never, 855, never},
		"it was made up for":                        {0, 100, 1000, 990, 1001, never},
		"it was made up for, and goes on":           {0, 100, 1350, 990, 1351, 990},
		"made up for, and a webhook came since":     {0, 1000, 1355, 990, 1359, never},
	} {
		signals := monitor.Signals{Since: moment(c.since), Last: moment(c.last), Activity: moment(c.activity), Resolved: moment(c.resolved)}
		gap, silent := signals.Gap(at(c.now), after*time.Minute)
		require.Equal(t, c.from != never, silent, name)
		if silent {
			require.Equal(t, monitor.Gap{Cause: monitor.Silence, From: at(c.from), Until: at(c.now)}, gap, name)
		}
		_, silent = signals.Gap(at(c.now), 0)
		require.False(t, silent, "off")
	}
}

func TestAGapSaysWhatToRun(t *testing.T) {
	t.Parallel()
	gap := monitor.Gap{Cause: monitor.Outage, From: at(1).Add(999 * time.Millisecond), Until: at(200).Add(time.Millisecond)}
	require.Equal(t, "Webhooks may be missing from 2026-03-01T00:01:00Z until 2026-03-01T03:20:00Z: no webhook could be received. "+
		"The command mends what the API knows; with the exports since then: sluice backfill transactions --since 2026-03-01T00:01:00Z URL", gap.String())
	require.Equal(t, "sluice webhooks resync --from 2026-03-01T00:01:00Z --until 2026-03-01T03:20:01Z", gap.Command())
	gap.Cause = monitor.Silence
	require.Contains(t, gap.String(), "although the game went on")
}
