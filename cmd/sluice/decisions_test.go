package main

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// TestWhatNeedsAPersonComesWithTheCommands, each of which the program has.
func TestWhatNeedsAPersonComesWithTheCommands(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spend economy.Spend
		want  []string
	}{
		"nothing":             {economy.Spend{State: economy.Refunding}, nil},
		"held":                {economy.Spend{State: economy.Requested, Held: true}, []string{"spend release s1"}},
		"a refund is refused": {economy.Spend{State: economy.Refunding, NeedsOperator: "no customer", RevokedAt: time.Unix(1, 0)}, []string{"spend refund s1 --again"}},
		"an operator's refund is refused": {
			economy.Spend{State: economy.Refunding, NeedsOperator: "no customer", Reason: economy.OperatorRefund},
			[]string{"spend refund s1 --again", "spend refund s1 --give-up"},
		},
		"the game keeps the item": {
			economy.Spend{State: economy.Refunding, NeedsOperator: economy.KeptByGame, Reason: economy.OperatorRefund},
			[]string{"spend refund s1 --again", "spend refund s1 --give-up", "handover settle s1 --revoked"},
		},
		"the game took the item": {
			economy.Spend{State: economy.Fulfilled, NeedsOperator: economy.TakenByGame}, []string{"spend refund s1", "handover settle s1 --granted"},
		},
	} {
		test.spend.ID = "s1"
		var got []string
		for _, line := range decisions(test.spend) {
			parts := regexp.MustCompile(`^sluice (.*) --reason 'WHY'   # .+$`).FindStringSubmatch(line)
			require.Len(t, parts, 2, line)
			got = append(got, parts[1])
		}
		require.True(t, slices.Equal(test.want, got), "%s: %q", name, got)
	}
}
