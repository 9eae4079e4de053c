package operations_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/operations"
)

func TestAPauseIsKnownToEveryGateUntilItIsResumed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	gate, err := operations.NewGate(t.Context(), o.db, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, gate.Wait(t.Context(), "adjust", "live"))
	for scope, name := range map[operations.Scope]string{
		operations.PauseConsumer: "adjust", operations.PauseLane: "store", operations.PauseItem: "potion", operations.PauseCurrency: "GOLD",
	} {
		require.NoError(t, o.Pause(t.Context(), alice, "an incident", scope, name))
		refusedBy(t, o.Pause(t.Context(), bob, "me, too", scope, name), "paused already")
	}
	require.NoError(t, gate.Look(t.Context()))
	for _, delivery := range []struct {
		consumer, lane string
		paused         bool
	}{{"adjust", "live", true}, {"access", "store", true}, {"access", "bulk", false}, {"fulfil", "live", false}} {
		_, paused := gate.Delivery(delivery.consumer, delivery.lane)
		require.Equal(t, delivery.paused, paused, delivery)
	}
	for _, spend := range []struct {
		item   string
		cost   economy.Amounts
		paused bool
	}{{"potion", economy.Amounts{"GEM": 1}, true}, {"sword", economy.Amounts{"GEM": 1, "GOLD": 1}, true}, {"sword", economy.Amounts{"GEM": 1}, false}} {
		_, paused := gate.Spend(spend.item, spend.cost)
		require.Equal(t, spend.paused, paused, spend)
	}

	waited := make(chan error, 1)
	go func() { waited <- gate.Wait(t.Context(), "adjust", "live") }()
	stopping, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, gate.Wait(stopping, "adjust", "live"), context.Canceled)
	require.NoError(t, o.Resume(t.Context(), bob, "it is over", operations.PauseConsumer, "adjust"))
	refusedBy(t, o.Resume(t.Context(), bob, "it is over", operations.PauseConsumer, "adjust"), "not paused")
	require.NoError(t, gate.Look(t.Context()))
	require.NoError(t, <-waited)
	require.Equal(t, []operations.Deed{operations.DeedPause, operations.DeedResume}, o.acts(t, "consumer:adjust"))

	// One for a time ends by itself; another may begin then.
	require.NoError(t, o.PauseFor(t.Context(), alice, "for a while", operations.PauseLane, "live", time.Hour))
	refusedBy(t, o.PauseFor(t.Context(), alice, "for a while", operations.PauseLane, "live", time.Hour), "paused already")
	_, err = o.db.Exec("UPDATE pauses SET until = now() WHERE scope = 'lane' AND name = 'live'")
	require.NoError(t, err)
	require.NoError(t, gate.Look(t.Context()))
	_, paused := gate.Delivery("fulfil", "live")
	require.False(t, paused)
	refusedBy(t, o.Resume(t.Context(), alice, "it is over", operations.PauseLane, "live"), "not paused")
	require.NoError(t, o.PauseFor(t.Context(), alice, "for good", operations.PauseLane, "live", 0))

	var bad *operations.InputError
	require.ErrorAs(t, o.PauseFor(t.Context(), alice, "why", operations.PauseItem, "potion", time.Millisecond), &bad)
	require.ErrorAs(t, o.Pause(t.Context(), alice, "why", "planet", "earth"), &bad)
	require.ErrorAs(t, o.Pause(t.Context(), alice, "why", operations.PauseItem, " "), &bad)
	require.ErrorAs(t, o.Pause(t.Context(), alice, "", operations.PauseItem, "potion"), &bad)
}
