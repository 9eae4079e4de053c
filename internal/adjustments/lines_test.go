package adjustments_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/outbox"
)

// looks counts what a teller reads.
type looks struct {
	adjustments.Turns
	whole int
	from  []int64
}

func (l *looks) Turn(ctx context.Context, player string, limit int) (adjustments.Turn, error) {
	l.whole++
	return l.Turns.Turn(ctx, player, limit)
}

func (l *looks) Waiting(ctx context.Context, player string, from int64, limit int) (adjustments.Turn, error) {
	l.from = append(l.from, from)
	return l.Turns.Waiting(ctx, player, from, limit)
}

// charged accepts a spend, has it charged and returns its place in the line.
func (w *world) charged(teller *adjustments.Teller, key string) (place int64) {
	w.t.Helper()
	spend := w.accept("p", key, 1)
	settled, err := teller.Charge(w.t.Context(), "p")
	require.NoError(w.t, err)
	require.Equal(w.t, []string{spend.ID}, settled)
	require.NoError(w.t, w.db.Get(&place, "SELECT seq FROM spends WHERE id = $1", spend.ID))
	return place
}

// While a transaction is held open elsewhere everything a player ever spent stays in the
// index of what is open. A look at the player must not pass it all.
func TestALookBeginsWhereThePlayersLineDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	clock := &movingClock{now: time.Now()}
	teller := w.tellerAt(clock.Now)
	counted := &looks{Turns: teller.Turns}
	teller.Turns = counted
	var places []int64
	for _, key := range []string{"a", "b", "c", "d"} {
		places = append(places, w.charged(teller, key))
		clock.move(2 * time.Second)
	}
	require.Equal(t, 1, counted.whole, "only the first look read all there is of the player")
	require.Equal(t, []int64{0, 0, places[1]}, counted.from, "the last but one of its looks found this place the first")

	clock.move(time.Minute)
	w.charged(teller, "e")
	require.Equal(t, 2, counted.whole, "what was long ago is not relied upon")
}

// A place in the line is given before the commit: a spend may come to stand before one
// that was charged already. Its own delivery sees to it.
func TestASpendThatCameLateToItsPlaceIsCharged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	clock := &movingClock{now: time.Now()}
	teller := w.tellerAt(clock.Now)
	w.charged(teller, "first")
	slow, err := w.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	late := outbox.NewID()
	_, err = slow.ExecContext(t.Context(), `INSERT INTO spends (id, app_user_id, idempotency_key, item, quantity, cost, catalog_version, accepted_at, change_id, state)
		VALUES ($1, 'p', 'late', 'extra_life', 1, '{"GEM": 1}', 1, now(), $1, 'requested')`, late)
	require.NoError(t, err)
	for _, key := range []string{"a", "b", "c"} {
		clock.move(2 * time.Second)
		w.charged(teller, key)
	}
	require.NoError(t, slow.Commit())
	last := w.accept("p", "last", 1)
	settled, err := teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{last.ID}, settled, "the look began behind it")

	beside := w.accept("p", "beside", 1)
	teller.PassedOver("p")
	settled, err = teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{late, beside.ID}, settled)
}

// What a process has in mind of a player decides nothing: if another one left an
// adjustment open meanwhile, it is that one which is finished first.
func TestWhatAnotherProcessLeftOpenIsFinishedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	teller := w.teller()
	w.charged(teller, "a")
	left := w.accept("p", "left", 7)
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1})
	_, err := w.teller().Charge(t.Context(), "p")
	require.Error(t, err)
	w.sim.SetFaults(simulator.Faults{})

	next := w.accept("p", "next", 2)
	_, err = teller.Charge(t.Context(), "p")
	require.Error(t, err, "nothing is bound beside it")
	_, err = teller.Charge(t.Context(), "p")
	require.NoError(t, err, "what there was in mind is forgotten")
	require.Equal(t, []economy.State{economy.Charged, economy.Charged}, w.states([]economy.Spend{left, next}))
	require.Equal(t, economy.Amounts{"GEM": 90}, w.sim.Balance("p"), "each was taken once")
}

// failing fails every commit after so many.
type failing struct {
	adjustments.Committer
	left int
}

func (f *failing) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	if f.left--; f.left < 0 {
		return 0, errors.New("away")
	}
	return f.Committer.Commit(ctx, effects)
}

// A delivery of a spend that was charged together with another need not look. One that
// ended in an error must come back and look, whatever it settled: others rely on that.
func TestWhatWasSettledTogetherIsKnownOnceUnlessTheChargeFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.know("p", 50)
	spends := w.acceptAll("p", 50, 10, 10)
	teller := w.teller()
	teller.Committer = &failing{w.committer, 2} // the first is bound and settled, the second cannot be bound
	settled, err := teller.Charge(t.Context(), "p")
	require.Error(t, err)
	require.Equal(t, []string{spends[0].ID}, settled)
	require.False(t, teller.Settled(spends[0].ID))

	teller.Committer = w.committer
	settled, err = teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{spends[1].ID, spends[2].ID}, settled)
	require.False(t, w.teller().Settled(spends[1].ID), "another process knows nothing")
	require.True(t, teller.Settled(spends[1].ID))
	require.False(t, teller.Settled(spends[1].ID), "whoever comes again has a reason")
	require.True(t, teller.Settled(spends[2].ID))
}
