package operations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/outbox"
)

// asked writes down that the game's server is about to be asked for the item.
func (w *world) asked(t *testing.T, id string) outbox.Result {
	t.Helper()
	result, err := w.works.Commit(t.Context(), outbox.Effects{Guard: books.AskRevoke{SpendID: id, At: w.Now()}})
	require.NoError(t, err)
	return result
}

func TestARefundIsGivenUpOnlyWhileTheItemIsCertainlyThePlayers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, player := range []string{"p", "q"} {
		require.NoError(t, w.sim.SetBalance(player, economy.Amounts{"GEM": 1000}))
	}
	refunding := func(player, item string) economy.Spend {
		t.Helper()
		s := w.fulfilled(t, player, item, 50)
		made, err := w.Refund(t.Context(), alice, "the wrong player", s.ID)
		require.NoError(t, err)
		return made.Spend
	}

	// Nobody was asked for it: it stays, the books are as before, and nobody asks any more.
	s := refunding("p", "sword")
	_, err := w.Hold(t.Context(), alice, "wait", s.ID)
	require.NoError(t, err)
	given, err := w.GiveUpRefund(t.Context(), bob, "it was the right one", s.ID)
	require.NoError(t, err)
	require.Equal(t, economy.Fulfilled, given.State)
	after := w.at(t, s.ID, economy.Fulfilled)
	require.False(t, after.Held)
	require.Empty(t, after.Reason)
	w.balanced(t, s.ID, map[string]int64{"wallet": -50, "sink": 50})
	require.Zero(t, w.count(t, "SELECT count(*) FROM outbox WHERE event_id = $1 || '.refunding'", s.ID))
	require.Equal(t, outbox.Stale, w.asked(t, s.ID))
	require.Equal(t, []operations.Deed{operations.DeedRefund, operations.DeedHold, operations.DeedGiveUpRefund}, w.acts(t, s.ID))
	_, err = w.GiveUpRefund(t.Context(), bob, "again", s.ID)
	refusedBy(t, err, "only a refund that is under way")
	_, err = w.Refund(t.Context(), alice, "it was wrong, after all", s.ID)
	refusedBy(t, err, "given up before")

	// Its server was asked first, then it was given up, and the other way round.
	s = refunding("p", "sword")
	_, err = w.after("operator_give_up", func() { require.Equal(t, outbox.Applied, w.asked(t, s.ID)) }).GiveUpRefund(t.Context(), bob, "a mistake", s.ID)
	refusedBy(t, err, "may have done so")
	require.Equal(t, outbox.Applied, w.asked(t, s.ID), "it is asked until it answers")

	// It answers that the player keeps it, for good.
	kept := economy.Kept(w.at(t, s.ID, economy.Refunding), w.Now())
	_, err = w.works.Commit(t.Context(), outbox.Effects{Guard: books.SettleHandOver{Change: kept, Note: "it is used"}})
	require.NoError(t, err)
	require.Equal(t, outbox.Stale, w.asked(t, s.ID), "an operator is needed first")
	_, err = w.GiveUpRefund(t.Context(), bob, "it is used", s.ID)
	require.NoError(t, err)
	require.Empty(t, w.at(t, s.ID, economy.Fulfilled).NeedsOperator)

	// It answers that the item is gone, or it was gone at once: the cost is owed.
	s = refunding("p", "sword")
	require.Equal(t, outbox.Applied, w.asked(t, s.ID))
	_, err = w.works.Commit(t.Context(), outbox.Effects{Guard: books.SettleHandOver{Change: economy.TakenBack(s, w.Now())}})
	require.NoError(t, err)
	for _, id := range []string{s.ID, refunding("q", "potion").ID} {
		_, err = w.GiveUpRefund(t.Context(), bob, "too late", id)
		refusedBy(t, err, "was taken back")
		w.at(t, id, economy.Refunding)
	}
	// A refund that no operator asked for.
	charged := w.accept(t, "q", "potion", 50)
	_, err = w.teller.Charge(t.Context(), "q")
	require.NoError(t, err)
	_, err = w.works.Commit(t.Context(), outbox.Effects{Guard: books.Move{Change: economy.HandOverRefusedFor(w.at(t, charged.ID, economy.Charged))}})
	require.NoError(t, err)
	_, err = w.GiveUpRefund(t.Context(), bob, "no", charged.ID)
	refusedBy(t, err, "no operator asked")

	report, err := audit.Whole(t.Context(), w.db, 1, nil)
	require.NoError(t, err)
	require.Empty(t, report.Wrong)
}
