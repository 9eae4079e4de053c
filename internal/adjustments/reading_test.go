package adjustments_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// soleWriter reads balances as the simulator has them.
type soleWriter struct {
	adjustments.Store
	w *world
}

func (s soleWriter) Balances(_ context.Context, appUserID string) (revenuecat.Reading, error) {
	return revenuecat.Reading{Known: true, Balances: s.w.sim.Balance(appUserID), StartedAt: time.Now()}, nil
}

// conflicted makes a spend whose charge went unanswered, applied or not, and
// whose key is answered 409 ever after; it returns a teller that may read.
func (w *world) conflicted() (*adjustments.Teller, economy.Spend) {
	w.t.Helper()
	require.NoError(w.t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.know("p", 100)
	spend := w.accept("p", "1", 40)
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1, ReplayConflict: 1})
	teller := w.teller()
	_, err := teller.Charge(w.t.Context(), "p")
	require.Error(w.t, err)
	w.sim.SetFaults(simulator.Faults{ReplayConflict: 1})
	return teller, spend
}

func TestReadingSettlesAnUnknownChargeWhereNobodyElseMovesBalances(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	teller, spend := w.conflicted()
	teller.SoleWriter = soleWriter{adjustments.Store{DB: w.db}, w}
	_, err := teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, economy.Charged, w.spend(spend.ID).State)
	require.Equal(t, economy.Amounts{"GEM": 60}, w.sim.Balance("p"))
}

func TestPurchaseBetweenALostChargeAndItsReadingIsNotGuessedAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	teller, spend := w.conflicted()
	teller.SoleWriter = soleWriter{adjustments.Store{DB: w.db}, w}
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 160})) // 100 - 40, and a purchase of 100
	_, err := teller.Charge(t.Context(), "p")
	require.Error(t, err)
	require.Equal(t, economy.Requested, w.spend(spend.ID).State)
	require.False(t, w.spend(spend.ID).UnknownSince.IsZero())
}

func TestReadingNeverSettlesWherePurchasesArePossible(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	teller, spend := w.conflicted()
	_, err := teller.Charge(t.Context(), "p")
	require.Error(t, err)
	require.Equal(t, economy.Requested, w.spend(spend.ID).State)
}

// What an operator settled told no balances: a reading that began before that may
// or may not know of it, and so proves nothing about what comes after.
func TestNothingIsKnownBeforeAChargeThatFollowsAnOperatorsWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, spend := w.conflicted()
	_, err := w.db.Exec("UPDATE balances SET as_of = now()") // kept just before the adjustment was bound
	require.NoError(t, err)
	require.NoError(t, w.decide(w.spend(spend.ID), true))
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1, ReplayConflict: 1})
	w.accept("p", "2", 40)
	_, err = w.teller().Charge(t.Context(), "p")
	require.Error(t, err)

	store := adjustments.Store{DB: w.db}
	turn, err := store.Turn(t.Context(), "p", 1)
	require.NoError(t, err)
	_, known, err := store.Base(t.Context(), turn.Open)
	require.NoError(t, err)
	require.False(t, known)
}

// While an adjustment stands aside another may be opened and applied between the
// reading of its base and the reading of the balance.
func TestNothingIsKnownBeforeAChargeThatSteppedAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.conflicted()
	store := adjustments.Store{DB: w.db}
	turn, err := store.Turn(t.Context(), "p", 1)
	require.NoError(t, err)
	_, known, err := store.Base(t.Context(), turn.Open)
	require.NoError(t, err)
	require.True(t, known)
	_, err = w.db.Exec("UPDATE adjustments SET state = 'unknown'")
	require.NoError(t, err)
	_, known, err = store.Base(t.Context(), turn.Open)
	require.NoError(t, err)
	require.False(t, known)
}
