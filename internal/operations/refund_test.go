package operations_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
)

func TestARefundTakesTheItemFirstAndGivesTheCostBackOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	s := w.fulfilled(t, "p", "potion", 50)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { _, errs[i] = w.Refund(t.Context(), alice, "bought by mistake", s.ID) })
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		refusedBy(t, err, "")
	}
	require.Equal(t, 1, made, "of many at once, one")
	after := w.at(t, s.ID, economy.Refunding)
	require.Equal(t, economy.OperatorRefund, after.Reason)
	require.False(t, after.RevokedAt.IsZero())
	held, err := books.New(w.db).Inventory(t.Context(), "p")
	require.NoError(t, err)
	require.Empty(t, held, "the item goes before the cost comes")
	require.Equal(t, economy.Amounts{"GEM": 950}, w.sim.Balance("p"))
	w.balanced(t, s.ID, map[string]int64{"wallet": -50, "in_flight": 50})

	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM outbox WHERE event_id = $1 || '.refunding' AND consumer = 'compensate'", s.ID))
	require.NoError(t, w.teller.Refund(t.Context(), after))
	w.at(t, s.ID, economy.Refunded)
	require.Equal(t, economy.Amounts{"GEM": 1000}, w.sim.Balance("p"))
	w.balanced(t, s.ID, map[string]int64{})
	require.Zero(t, w.count(t, "SELECT used FROM item_counters WHERE app_user_id = 'p'"))
	require.Equal(t, []operations.Deed{operations.DeedRefund}, w.acts(t, s.ID))
	_, err = w.Refund(t.Context(), alice, "again", s.ID)
	refusedBy(t, err, "only a fulfilled spend")
}

func TestALargeRefundNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	s := w.fulfilled(t, "p", "sword", 101)
	asked, err := w.Refund(t.Context(), alice, "a whale", s.ID)
	require.NoError(t, err)
	require.NotNil(t, asked.Request)
	w.at(t, s.ID, economy.Fulfilled)
	again, err := w.Refund(t.Context(), bob, "the same", s.ID)
	require.NoError(t, err)
	require.Equal(t, asked.Request.ID, again.Request.ID)

	for _, same := range []operations.Who{
		alice, {Name: "alice", Login: "carol@host", Via: operations.CLI}, {Name: "Alice", Login: "carol@host", Via: operations.CLI},
		{Name: "somebody", Login: "alice", Via: operations.CLI}, {Name: "somebody", Login: "alice@another-host", Via: operations.CLI},
	} {
		_, err = w.ApproveRefund(t.Context(), same, "fine by me", asked.Request.ID)
		refusedBy(t, err, "another person")
	}
	_, err = w.db.Exec("UPDATE refund_requests SET state = 'approved', decided_at = now(), decided_by = asked_by, decided_login = 'x'")
	require.ErrorContains(t, err, "second_person", "the database says so, too")
	w.at(t, s.ID, economy.Fulfilled)

	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() {
			if i%2 == 0 {
				_, errs[i] = w.ApproveRefund(t.Context(), bob, "checked", asked.Request.ID)
				return
			}
			errs[i] = w.RefuseRefund(t.Context(), alice, "changed my mind", asked.Request.ID)
		})
	}
	all.Wait()
	won := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, won, "one decision")
			won = i
			continue
		}
		refusedBy(t, err, "")
	}
	require.NotEqual(t, -1, won)
	request, err := w.RefundRequest(t.Context(), asked.Request.ID)
	require.NoError(t, err)
	deeds := []operations.Deed{operations.DeedAskRefund, operations.DeedRefund}
	if won%2 == 0 {
		require.Equal(t, operations.Approved, request.State)
		require.Equal(t, "bob", request.DecidedBy)
		require.True(t, w.at(t, s.ID, economy.Refunding).RevokedAt.IsZero(), "its own server is asked first")
	} else {
		require.Equal(t, operations.Refused, request.State)
		w.at(t, s.ID, economy.Fulfilled)
		deeds[1] = operations.DeedRefuseRefund
	}
	require.Equal(t, deeds, w.acts(t, s.ID))
	open, err := w.RefundRequests(t.Context(), true)
	require.NoError(t, err)
	require.Empty(t, open)
}

// What the provider refused for good may be refused again under the key it knows: an
// operator's next try has another one, and nobody else tries.
func TestARefusedRefundIsTriedAnewByAnOperatorOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	s := w.fulfilled(t, "p", "potion", 50)
	before, err := w.Refund(t.Context(), alice, "bought by mistake", s.ID)
	require.NoError(t, err)
	_, err = w.RefundAgain(t.Context(), alice, "too early", s.ID)
	refusedBy(t, err, "needs no operator")
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": economy.BalanceMax}))
	require.NoError(t, w.teller.Refund(t.Context(), before.Spend))
	require.NotEmpty(t, w.at(t, s.ID, economy.Refunding).NeedsOperator)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 10}))
	require.Error(t, w.teller.Refund(t.Context(), before.Spend), "who read it before it was refused looks again")
	require.Equal(t, economy.Amounts{"GEM": 10}, w.sim.Balance("p"))

	var both sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		both.Go(func() { _, errs[i] = w.RefundAgain(t.Context(), alice, "there is room now", s.ID) })
	}
	both.Wait()
	require.NotEqual(t, errs[0] == nil, errs[1] == nil, errs)
	require.Equal(t, 1, w.count(t, "SELECT count(*) FROM outbox WHERE event_id = $1 || '.refunding'", s.ID))
	require.NoError(t, w.teller.Refund(t.Context(), w.at(t, s.ID, economy.Refunding)))
	w.at(t, s.ID, economy.Refunded)
	require.Equal(t, economy.Amounts{"GEM": 60}, w.sim.Balance("p"))
	var keys []string
	require.NoError(t, w.db.Select(&keys, "SELECT idempotency_key FROM adjustments WHERE spend_id = $1 ORDER BY seq", s.ID))
	require.Equal(t, []string{s.ID + ":refund", s.ID + ":2:refund"}, keys)
	story, err := books.New(w.db).Story(t.Context(), s.ID)
	require.NoError(t, err)
	require.Len(t, story.Adjustments, 3, "the charge and both refunds")
}
