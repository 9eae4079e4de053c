package adjustments

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// TestWithoutTracesAnAttemptCostsWhatItDid: nothing is read or allocated for them.
func TestWithoutTracesAnAttemptCostsWhatItDid(t *testing.T) {
	ctx := t.Context()
	teller := &Teller{}
	turn := Turn{Open: &Adjustment{Purpose: Charge}, Spends: []economy.Spend{{ID: "s"}}}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, trace := teller.startAttempt(ctx, turn)
		trace.told(turn, economy.Outcome{Kind: economy.Applied})
		trace.carry(nil)
		trace.end()
	}))
}
