package adjustments_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// gated is a process behind the real budget, in a world where something may happen
// while it waits there, and whose commits are counted.
type gated struct {
	*adjustments.Teller
	budget    *budget.Budget
	provider  *budget.Provider
	next      adjustments.Committer
	meanwhile func()
	commits   atomic.Int64
}

func (w *world) gated(now func() time.Time) *gated {
	w.t.Helper()
	db, err := postgres.Open(w.t.Context(), postgres.Config{URL: testenv.PostgresURL(w.t), MaxConns: 2})
	require.NoError(w.t, err)
	shared, err := budget.Open(budget.Config{DB: db, Process: outbox.NewID()})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { shared.Close(); _ = db.Close() })
	g := &gated{Teller: w.tellerAt(now), budget: shared, next: w.committer, meanwhile: func() {}}
	g.provider = budget.NewProvider(shared, g.Provider.(budget.Client), budget.Live)
	g.Admission, g.Committer = g, g
	return g
}

// Admit implements adjustments.Admission.
func (g *gated) Admit(ctx context.Context, appUserID string, refund bool) (adjustments.Call, error) {
	g.meanwhile()
	call, err := g.provider.Admit(ctx, appUserID, refund)
	if err != nil {
		return nil, err
	}
	return call, nil
}

// Commit implements adjustments.Committer.
func (g *gated) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	g.commits.Add(1)
	return g.next.Commit(ctx, effects)
}

func TestWhatMayNotStartIsNeitherBoundNorCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 200}))
	require.NoError(t, w.sim.SetBalance("tried", economy.Amounts{"GEM": 200}))
	owed := w.accept("p", "owed", 50)
	_, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	owed = w.refuse(owed.ID)
	waiting := w.accept("p", "waiting", 50)
	w.accept("tried", "tried", 50)
	w.sim.SetFaults(simulator.Faults{FailBefore: 1})
	_, err = w.teller().Charge(t.Context(), "tried")
	require.Error(t, err)
	w.sim.SetFaults(simulator.Faults{})

	g := w.gated(time.Now)
	require.NoError(t, g.budget.Closed(t.Context(), revenuecat.Transactions, time.Hour))
	for what, work := range map[string]func() error{
		"charge": func() error { _, err := g.Charge(t.Context(), "p"); return err },
		"refund": func() error { return g.Refund(t.Context(), owed) },
		"adopt":  func() error { _, err := g.Charge(t.Context(), "tried"); return err },
	} {
		var retry *adjustments.Retry
		require.ErrorAs(t, work(), &retry, what)
		require.InDelta(t, time.Hour, retry.After, float64(time.Minute), what)
		require.True(t, retry.NotTried(), what)
	}
	require.Zero(t, g.commits.Load())
	require.Empty(t, w.spend(waiting.ID).AdjustmentID)
	var attempts int
	require.NoError(t, w.db.Get(&attempts, "SELECT attempts FROM adjustments WHERE app_user_id = 'tried'"))
	require.Equal(t, 1, attempts)
}

func TestWhatIsAcceptedWhileACallWaitsIsChargedWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.know("p", 100)
	clock := &movingClock{now: time.Now()}
	g := w.gated(clock.Now)
	first := w.accept("p", "1", 50)
	var second economy.Spend
	g.meanwhile = func() {
		g.meanwhile = func() {}
		clock.move(time.Second / 2)
		second = w.accept("p", "2", 20)
	}
	settled, err := g.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{first.ID, second.ID}, settled)
	require.Len(t, w.sim.Transactions("p"), 1)
	require.EqualValues(t, 2, g.commits.Load(), "bound and settled")
}

// Another process binds what this one came for while it waits: it finishes that,
// and the permit it had is given back.
func TestWhatAnotherProcessBoundWhileACallWaitedIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	clock := &movingClock{now: time.Now()}
	g := w.gated(clock.Now)
	spend := w.accept("p", "1", 50)
	g.meanwhile = func() {
		g.meanwhile = func() {}
		clock.move(time.Second / 2)
		w.sim.SetFaults(simulator.Faults{LoseAnswer: 1})
		_, err := w.teller().Charge(t.Context(), "p")
		require.Error(t, err)
		w.sim.SetFaults(simulator.Faults{})
	}
	_, err := g.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, economy.Charged, w.spend(spend.ID).State)
	require.Equal(t, economy.Amounts{"GEM": 50}, w.sim.Balance("p"), "once")
	_, err = g.budget.Take(t.Context(), revenuecat.Transactions, budget.Live, "p") // and tells what was given back
	require.NoError(t, err)
	status, _, err := g.budget.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status, 1)
	require.Equal(t, 2, status[0].Used, "the call, and the permit just taken")
}
