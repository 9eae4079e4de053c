package economy_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// A record of one statement gives it back; of several, only where one says all that is known.
func TestARecordGivesItsOnlyStatementBack(t *testing.T) {
	t.Parallel()
	together, silent := 0, 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		fact, other := anyFact(r), anyFact(r)
		record := economy.PurchaseOf(fact)
		back, ok := economy.OnlyStatement(record)
		require.Equal(t, record.Tells(), ok, "%+v", fact)
		if !ok {
			silent++
			continue
		}
		require.Equal(t, record, economy.PurchaseOf(back), "%+v", fact)
		require.Equal(t, []any{fact.Key, fact.Source, fact.Kind, fact.At, fact.By}, []any{back.Key, back.Source, back.Kind, back.At, back.By})
		both := economy.Join(record, economy.PurchaseOf(other))
		if back, ok := economy.OnlyStatement(both); ok {
			require.Equal(t, both, economy.PurchaseOf(back))
		} else {
			together++
		}
	}
	require.Greater(t, together, 1000)
	require.Less(t, silent, 300)
	_, ok := economy.OnlyStatement(economy.PurchaseOf(economy.PurchaseFact{Key: saleKey, Source: economy.FromExport, At: hour(1), By: "a"}))
	require.False(t, ok, "nobody can say who told nothing")
}
