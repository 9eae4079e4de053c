package adjustments_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// TestWhenTheProviderSaysNoMoreOfAKeyIsKept: the first 409 after an unanswered attempt
// stays, so that the provider's export of a later time decides.
func TestWhenTheProviderSaysNoMoreOfAKeyIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spend := w.unknown("p")
	conflicts := func() (at *string) {
		require.NoError(t, w.db.Get(&at, "SELECT conflict_at::text FROM adjustments"))
		return at
	}
	require.Nil(t, conflicts(), "no answer is no 409")
	w.sim.SetFaults(simulator.Faults{ReplayConflict: 1})
	for range 2 {
		_, err := w.teller().Charge(t.Context(), "p")
		require.Error(t, err)
	}
	first := conflicts()
	require.NotNil(t, first)
	w.sim.SetFaults(simulator.Faults{FailBefore: 1})
	_, err := w.teller().Charge(t.Context(), "p")
	require.Error(t, err)
	require.Equal(t, first, conflicts())
	require.NoError(t, w.decide(spend, true))
}
