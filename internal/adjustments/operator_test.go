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

// attempts is how often the provider was asked for the spend, as an operator sees it.
func (w *world) attempts(spend economy.Spend) int64 {
	w.t.Helper()
	list, err := w.books.Attention(w.t.Context(), 10)
	require.NoError(w.t, err)
	for _, a := range list {
		if a.Spend.ID == spend.ID && a.Unknown != nil {
			return a.Unknown.Attempt
		}
	}
	return 0
}

// decide says what came of a spend, as of what an operator sees now.
func (w *world) decide(spend economy.Spend, applied bool) error {
	w.t.Helper()
	return w.decideAsOf(spend, w.attempts(spend), applied)
}

func (w *world) decideAsOf(spend economy.Spend, attempt int64, applied bool) error {
	w.t.Helper()
	_, err := adjustments.Decide(w.t.Context(), adjustments.Store{DB: w.db}, w.committer, spend,
		adjustments.Decision{Attempt: attempt, Applied: applied, Reason: "row 7 of the export"}, time.Now())
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

// An operator looks at the provider, and before the word is said the provider is
// asked again: what was true may not be any more.
func TestAnOperatorsWordCountsOnlyForTheAttemptsThatWereSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spend := w.unknown("p")
	seen := w.attempts(spend)
	require.EqualValues(t, 1, seen)
	_, err := w.teller().Charge(t.Context(), "p")
	require.Error(t, err)
	for _, applied := range []bool{true, false} {
		var again *adjustments.TriedAgainError
		require.ErrorAs(t, w.decideAsOf(spend, seen, applied), &again)
		require.Equal(t, adjustments.TriedAgainError{Seen: 1, Now: 2}, *again)
	}
	require.Equal(t, economy.Requested, w.spend(spend.ID).State)
	require.NoError(t, w.decide(spend, true))
}

// An attempt that is under way is not one that an operator has seen.
func TestAnAttemptUnderWayIsNotSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spend := w.unknown("p")
	_, err := w.db.Exec("UPDATE adjustments SET attempts = 2, leased_by = 'somebody', leased_until = now() + interval '1 minute'")
	require.NoError(t, err)
	require.EqualValues(t, 1, w.attempts(spend))
	require.ErrorContains(t, w.decide(spend, false), "right now")
	_, err = w.db.Exec("UPDATE adjustments SET leased_until = now() - interval '1 second'")
	require.NoError(t, err)
	require.EqualValues(t, 2, w.attempts(spend), "whoever made it is dead")
	require.Error(t, w.decideAsOf(spend, 1, false))
	require.NoError(t, w.decide(spend, true))
}

// What went unanswered stays in the story once it is settled.
func TestTheStoryKeepsAttemptsThatNobodyAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spend := w.unknown("p")
	story, err := w.books.Story(t.Context(), spend.ID)
	require.NoError(t, err)
	open := story.Adjustments[0]
	require.True(t, open.Unknown())
	require.EqualValues(t, 1, open.Attempts)
	require.NotEmpty(t, open.LastError)
	require.WithinDuration(t, time.Now(), *open.LastAttemptAt, time.Minute)

	w.sim.SetFaults(simulator.Faults{})
	_, err = w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	story, err = w.books.Story(t.Context(), spend.ID)
	require.NoError(t, err)
	settled := story.Adjustments[0]
	require.False(t, settled.Unknown())
	require.EqualValues(t, 2, settled.Attempts)
	require.Equal(t, open.LastError, settled.LastError)
	require.Equal(t, open.UnknownSince, settled.UnknownSince)
	require.Equal(t, settled.SettledAt, settled.LastAttemptAt)
}
