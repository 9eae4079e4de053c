package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/monitor"
)

// TestTheVerdictTellsOfWhatTheAlertsDo: nothing works while the books do not balance.
func TestTheVerdictTellsOfWhatTheAlertsDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*monitor.Snapshot)
		tone   string
		lines  []string
	}{
		"nothing": {func(*monitor.Snapshot) {}, "good", nil},
		"a finding of the audit": {
			func(s *monitor.Snapshot) { s.Books.Findings = 1 }, "bad", []string{"The books do not balance: the audit has 1 finding."},
		},
		"drift": {
			func(s *monitor.Snapshot) { s.Books.Drift = []monitor.Drift{{Currency: "GEM", Players: 2, Units: 1500}} }, "bad",
			[]string{"RevenueCat's balances of 2 customers differ from our ledger by 1,500 GEM."},
		},
		"nobody sweeps": {
			func(s *monitor.Snapshot) {
				s.Outbox.Overdue, s.Outbox.OverdueAge = 3, monitor.Seconds(monitor.StalledAfter)
			}, "bad",
			[]string{"3 parked deliveries should have been published, the first 30 s ago. Does sluice relay run?"},
		},
		"a sweep is about to begin": {
			func(s *monitor.Snapshot) { s.Outbox.Overdue, s.Outbox.OverdueAge = 3, monitor.Seconds(time.Second) }, "good", nil,
		},
	} {
		shot := monitor.Snapshot{Reachable: monitor.Reachable{PostgreSQL: true, NATS: true}, Outbox: &monitor.Backlog{}, Books: &monitor.Books{}}
		test.change(&shot)
		verdict := judge(shot)
		require.Equal(t, test.tone, verdict.Tone, name)
		var lines []string
		for _, line := range verdict.Lines {
			lines = append(lines, line.Text)
		}
		require.Equal(t, test.lines, lines, name)
	}
}
