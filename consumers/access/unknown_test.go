package access

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

func TestAProductThatNobodyKnowsIsToldOfOnceAnHour(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	now := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	u := &Unknown{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }}
	buy := func(product string, n int) {
		var buying sync.WaitGroup
		for i := range n {
			buying.Go(func() {
				p := economy.Purchase{Key: economy.PurchaseKey{Store: economy.AppStore, TransactionID: fmt.Sprint(i)}}
				p.Product.Value = product
				u.bought(t.Context(), p)
			})
		}
		buying.Wait()
	}
	buy("novelty", 500)
	buy("other", 2)
	require.Equal(t, 1, strings.Count(log.String(), "product=novelty"), log.String())
	require.Equal(t, 1, strings.Count(log.String(), "product=other"), log.String())
	now = now.Add(unknownEvery)
	buy("novelty", 3)
	require.Equal(t, 2, strings.Count(log.String(), "product=novelty"), log.String())
	require.Contains(t, log.String(), "product=novelty purchases=500", "those since, and the one that told")
	for i := range 3 * unknownMax {
		buy(fmt.Sprint("p", i), 1)
	}
	require.LessOrEqual(t, len(u.told), unknownMax)
}
