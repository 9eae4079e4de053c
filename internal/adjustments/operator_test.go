package adjustments_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// unknown makes a spend whose charge was applied and whose answer is lost for good.
func (w *world) unknown(player string) economy.Spend {
	w.t.Helper()
	require.NoError(w.t, w.sim.SetBalance(player, economy.Amounts{"GEM": 100}))
	spend := w.accept(player, "lost", 50)
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1, ReplayConflict: 1})
	_, err := w.teller().Charge(w.t.Context(), player)
	require.Error(w.t, err)
	return w.spend(spend.ID)
}

func (w *world) decide(spend economy.Spend, applied bool) error {
	w.t.Helper()
	_, err := adjustments.Decide(w.t.Context(), adjustments.Store{DB: w.db}, w.committer, spend,
		adjustments.Decision{Applied: applied, Reason: "row 7 of the export"}, time.Now())
	return err
}

func TestOperatorSettlesAnUnknownChargeAsCharged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spend := w.unknown("p")
	require.NoError(t, w.decide(spend, true))
	require.Equal(t, economy.Charged, w.spend(spend.ID).State)
	var entries int
	require.NoError(t, w.db.Get(&entries, "SELECT count(*) FROM ledger_entries WHERE kind = 'charge'"))
	require.Equal(t, 1, entries)
	require.ErrorIs(t, w.decide(w.spend(spend.ID), true), adjustments.ErrNothingUnknown, "a second word changes nothing")
}

func TestOperatorSettlesAnUnknownChargeAsNotCharged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spend := w.unknown("p")
	require.NoError(t, w.decide(spend, false))
	spend = w.spend(spend.ID)
	require.Equal(t, economy.Declined, spend.State)
	require.Equal(t, economy.Cancelled, spend.Reason)
	var reason string
	require.NoError(t, w.db.Get(&reason, "SELECT last_error FROM adjustments"))
	require.Contains(t, reason, "row 7 of the export")
}

func TestOperatorCannotSettleWhatIsNotUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spend := w.accept("p", "1", 50)
	require.ErrorIs(t, w.decide(spend, true), adjustments.ErrNothingUnknown)
}
