package adjustments_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// One process accepts spends of a limited item while it declines others of the same
// player: no statement counts twice, so none of the counts is lost.
func TestALimitsCounterIsExactWhileSpendsAreDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	accept := func(player string) {
		spend := economy.Spend{
			ID: outbox.NewID(), AppUserID: player, IdempotencyKey: outbox.NewID(), Item: "extra_life", Quantity: 1, Cost: economy.Amounts{"GEM": 50},
			CatalogVersion: 1, State: economy.Requested, AcceptedAt: time.Now(), Limited: true,
		}
		_, _ = w.committer.Commit(t.Context(), outbox.Effects{
			Guard: books.Accept{Spend: spend, PlayerLimit: 9}, Touches: []string{books.LimitKey(player, spend.Item)},
			Events: []events.Event{events.NewSpendRequested(spend.ID, player, spend.AcceptedAt)},
		})
	}
	teller := w.teller()
	var all sync.WaitGroup
	for i := range 100 {
		player := fmt.Sprint("p", i)
		require.NoError(t, w.books.OpenCounter(t.Context(), player, "extra_life"))
		require.NoError(t, w.sim.SetBalance(player, economy.Amounts{"GEM": 0}))
		accept(player)
		all.Go(func() { _, _ = teller.Charge(t.Context(), player) })
		all.Go(func() { accept(player); accept(player) })
	}
	all.Wait()
	var wrong int
	require.NoError(t, w.db.Get(&wrong, `SELECT count(*) FROM item_counters c
		WHERE c.used <> (SELECT count(*) FROM spends s WHERE s.app_user_id = c.app_user_id AND s.state <> 'declined')`))
	require.Zero(t, wrong)
}
