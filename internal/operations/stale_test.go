package operations_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// An act is decided on what was read. If that is not so any more when it is committed,
// nothing is done.
func TestWhatIsNotSoAnyMoreIsNotActedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	small, large := w.fulfilled(t, "p", "potion", 50), w.fulfilled(t, "p", "sword", 101)

	// A request that is refused just before it is approved.
	asked, err := w.Refund(t.Context(), alice, "a whale", large.ID)
	require.NoError(t, err)
	_, err = w.after("operator_refund", func() {
		require.NoError(t, w.RefuseRefund(t.Context(), alice, "changed my mind", asked.Request.ID))
	}).ApproveRefund(t.Context(), bob, "checked", asked.Request.ID)
	refusedBy(t, err, "moved on")
	w.at(t, large.ID, economy.Fulfilled)

	// A refund that somebody else tries again first, and that is refused once more.
	refunding, err := w.Refund(t.Context(), alice, "bought by mistake", small.ID)
	require.NoError(t, err)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": economy.BalanceMax}))
	require.NoError(t, w.teller.Refund(t.Context(), refunding.Spend))
	_, err = w.after("operator_refund_again", func() {
		_, err := w.RefundAgain(t.Context(), bob, "again", small.ID)
		require.NoError(t, err)
	}).RefundAgain(t.Context(), alice, "again", small.ID)
	refusedBy(t, err, "moved on")

	// A spend that is let go and called for between the hold and the cancel. The answer of
	// the call is lost: it may be charged.
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	s := w.accept(t, "p", "potion", 50)
	_, err = w.after("operator_cancel", func() {
		_, err := w.Release(t.Context(), bob, "let it go", s.ID)
		require.NoError(t, err)
		w.sim.SetFaults(simulator.Faults{LoseAnswer: 1})
		_, err = w.teller.Charge(t.Context(), "p")
		require.Error(t, err)
	}).Cancel(t.Context(), alice, "the player asked", s.ID)
	refusedBy(t, err, "")
	require.NotEmpty(t, w.at(t, s.ID, economy.Requested).AdjustmentID)
}

// slow is a provider whose answer comes when it is let go.
type slow struct {
	adjustments.Provider
	asked, answer chan struct{}
}

func (s slow) Adjust(ctx context.Context, request revenuecat.Request) economy.Outcome {
	close(s.asked)
	<-s.answer
	return s.Provider.Adjust(ctx, request)
}

// A call that is refused declines what is dearer on the same evidence: while it is
// under way that is not cancelled, or it would be declined twice.
func TestWhatACallMayDeclineIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 40}))
	first, dearer := w.accept(t, "p", "potion", 50), w.accept(t, "p", "potion", 60)
	_, err := w.db.Exec("INSERT INTO balances (balance, as_of, app_user_id, currency) VALUES (55, now(), 'p', 'GEM')")
	require.NoError(t, err)
	provider := slow{w.teller.Provider, make(chan struct{}), make(chan struct{})}
	config := w.teller.Config
	config.Provider, config.Admission = provider, nil
	charged := make(chan error)
	go func() {
		_, err := adjustments.NewTeller(config).Charge(t.Context(), "p")
		charged <- err
	}()
	<-provider.asked
	desk := w.after("", nil)
	_, err = desk.Cancel(t.Context(), alice, "the player asked", dearer.ID)
	refusedBy(t, err, "a call for its player is under way")
	require.True(t, w.at(t, dearer.ID, economy.Requested).Held)
	close(provider.answer)
	require.NoError(t, <-charged)
	for _, id := range []string{first.ID, dearer.ID} {
		require.Equal(t, economy.InsufficientFunds, w.at(t, id, economy.Declined).Reason)
	}
	require.Zero(t, w.count(t, "SELECT used FROM item_counters WHERE app_user_id = 'p'"))
	_, err = desk.Cancel(t.Context(), alice, "once more", dearer.ID)
	refusedBy(t, err, "not waiting")
	require.False(t, w.at(t, dearer.ID, economy.Declined).Held)
	require.NotContains(t, w.acts(t, dearer.ID), operations.DeedCancel)
}
