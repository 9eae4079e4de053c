package economy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// What an operator does to a spend changes it from exactly one state, whatever marks
// stand beside the state.
func TestOperatorsChangeASpendFromOneState(t *testing.T) {
	t.Parallel()
	for _, kind := range economy.Kinds {
		for _, state := range economy.States {
			s := economy.Spend{
				ID: "s", Kind: kind, State: state, Cost: economy.Amounts{"GEM": 50, "GOLD": 1}, Held: true, Limited: true, NeedsOperator: "x", UnknownSince: accepted,
			}
			cancelled := economy.Cancel(s, accepted)
			require.Equal(t, state != economy.Requested, cancelled.Empty(), s)
			if !cancelled.Empty() {
				require.Equal(t, economy.Declined, cancelled.Spend.State)
				require.Equal(t, economy.Cancelled, cancelled.Spend.Reason)
				require.False(t, cancelled.Spend.Held)
				require.True(t, cancelled.Release, "it no longer counts against the limit")
				require.Empty(t, cancelled.Entries, "nothing was charged")
			}
			bound := s
			bound.AdjustmentID = "a"
			require.True(t, economy.Cancel(bound, accepted).Empty(), "a call may have charged it")

			for _, ours := range []bool{true, false} {
				taken := economy.Reclaim(s, ours, accepted)
				require.Equal(t, state != economy.Fulfilled || kind != economy.KindSpend, taken.Empty(), s)
				if taken.Empty() {
					continue
				}
				require.Equal(t, economy.Refunding, taken.Spend.State)
				require.Equal(t, economy.OperatorRefund, taken.Spend.Reason)
				require.Equal(t, ours, !taken.Spend.RevokedAt.IsZero(), "the game is asked to revoke what it granted")
				require.Len(t, taken.Entries, 2)
				require.Equal(t, [2]economy.Account{economy.Sink, economy.InFlight}, [2]economy.Account{taken.Entries[0].Debit, taken.Entries[0].Credit})
				require.False(t, taken.Release, "not before the cost is back")
				require.Nil(t, taken.Grant)
				require.Equal(t, "the game does not take the item back", economy.Kept(withoutWord(taken.Spend), accepted).Spend.NeedsOperator)
			}
		}
	}
}

// withoutWord is a spend whose item nobody has revoked yet.
func withoutWord(s economy.Spend) economy.Spend {
	s.RevokedAt = economy.Spend{}.RevokedAt
	return s
}
