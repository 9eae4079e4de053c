package adjustments_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/outbox"
)

// grant has a grant accepted.
func (w *world) grant(player, key string, gives economy.Amounts) economy.Spend {
	w.t.Helper()
	grant := economy.Spend{
		ID: outbox.NewID(), Kind: economy.KindGrant, AppUserID: player, IdempotencyKey: key, Quantity: 1, Note: "quest",
		Cost: gives, State: economy.Requested, AcceptedAt: time.Now(),
	}
	result, err := w.committer.Commit(w.t.Context(), outbox.Effects{
		Guard: books.Accept{Spend: grant}, Events: []events.Event{events.NewSpendRequested(grant.ID, player, grant.AcceptedAt)},
	})
	require.NoError(w.t, err)
	require.Equal(w.t, outbox.Applied, result)
	return grant
}

func TestGrantIsGivenOnceWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1}))
	grant := w.grant("p", "g", economy.Amounts{"GEM": 100, "GOLD": 3})
	w.sim.SetFaults(simulator.Faults{FailBefore: 0.4, LoseAnswer: 0.5})
	teller := w.teller()
	keep(t, func() error { _, err := teller.Charge(t.Context(), "p"); return err })
	require.Equal(t, economy.Fulfilled, w.spend(grant.ID).State)
	require.False(t, w.spend(grant.ID).FinishedAt.IsZero())
	require.Equal(t, economy.Amounts{"GEM": 101, "GOLD": 3}, w.sim.Balance("p"))
	transactions := w.sim.Transactions("p")
	require.Equal(t, grant.ID+":grant", transactions[len(transactions)-1].IdempotencyKey)

	var entries []struct {
		Kind, Debit, Credit, Currency string
		Amount                        int
	}
	require.NoError(t, w.db.Select(&entries, "SELECT kind, debit, credit, currency, amount FROM ledger_entries ORDER BY currency"))
	require.Len(t, entries, 2)
	for i, want := range []int{100, 3} {
		require.Equal(t, want, entries[i].Amount)
		require.Equal(t, []string{"grant", "issuance", "wallet"}, []string{entries[i].Kind, entries[i].Debit, entries[i].Credit})
	}
	var owed int
	require.NoError(t, w.db.Get(&owed, "SELECT count(*) FROM outbox"))
	require.Zero(t, owed, "its delivery is done, and nobody hands over or refunds a grant")
	balances, err := w.books.Balances(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, economy.Amount(101), balances[0].Balance, "the answer is the mirror's newest reading")
}

// A grant keeps its place: what was accepted after it may be paid from it, and is
// not declined on the evidence of a refusal before it.
func TestGrantIsSettledInItsTurnAndApartFromSpends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 10}))
	w.know("p", 1000) // too high: the first two are tried together
	dear, dearer := w.accept("p", "1", 50), w.accept("p", "2", 60)
	grant := w.grant("p", "3", economy.Amounts{"GEM": 100})
	second := w.grant("p", "4", economy.Amounts{"GEM": 1})
	after, last := w.accept("p", "5", 60), w.accept("p", "6", 60)
	settled, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{dear.ID, dearer.ID, grant.ID, second.ID, after.ID, last.ID}, settled, "in the order they were accepted")
	require.Equal(t, []economy.State{economy.Declined, economy.Declined, economy.Fulfilled, economy.Fulfilled, economy.Charged, economy.Declined},
		w.states([]economy.Spend{dear, dearer, grant, second, after, last}))
	require.Equal(t, economy.Amounts{"GEM": 10 + 101 - 60}, w.sim.Balance("p"))
	var mixed int
	require.NoError(t, w.db.Get(&mixed, `SELECT count(*) FROM (SELECT adjustment_id FROM spends WHERE kind = 'grant' GROUP BY 1 HAVING count(*) > 1) x`))
	require.Zero(t, mixed, "each grant under a key of its own")
}

func TestRefusedGrantIsDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": economy.BalanceMax}))
	grant := w.grant("p", "g", economy.Amounts{"GEM": 1})
	spend := w.accept("p", "s", 10)
	_, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, economy.Declined, w.spend(grant.ID).State)
	require.Equal(t, economy.ProviderRefused, w.spend(grant.ID).Reason)
	require.Equal(t, economy.Charged, w.spend(spend.ID).State, "and holds nobody up")
}

func TestGrantOfUnknownOutcomeIsSettledByAnOperator(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{true, false} {
		t.Run(fmt.Sprint(applied), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1}))
			grant := w.grant("p", "g", economy.Amounts{"GEM": 100})
			w.sim.SetFaults(simulator.Faults{LoseAnswer: 1, ReplayConflict: 1})
			_, err := w.teller().Charge(t.Context(), "p")
			require.Error(t, err)
			grant = w.spend(grant.ID)
			require.False(t, grant.UnknownSince.IsZero())
			require.NoError(t, w.decide(grant, applied))
			grant = w.spend(grant.ID)
			if applied {
				require.Equal(t, economy.Fulfilled, grant.State)
			} else {
				require.Equal(t, economy.Declined, grant.State)
				require.Equal(t, economy.Cancelled, grant.Reason)
			}
		})
	}
}
