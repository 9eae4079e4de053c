package operations_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

func TestACancelledSpendIsNeverCharged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	first, second := w.accept(t, "p", "potion", 50), w.accept(t, "p", "potion", 50)
	_, err := w.Cancel(t.Context(), alice, "the player asked", first.ID)
	require.NoError(t, err)
	s := w.at(t, first.ID, economy.Declined)
	require.Equal(t, economy.Cancelled, s.Reason)
	require.False(t, s.Held)
	_, err = w.teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	w.at(t, first.ID, economy.Declined)
	w.at(t, second.ID, economy.Charged)
	require.Equal(t, economy.Amounts{"GEM": 950}, w.sim.Balance("p"))
	require.Equal(t, 1, w.count(t, "SELECT used FROM item_counters WHERE app_user_id = 'p'"))
	require.Zero(t, w.count(t, "SELECT count(*) FROM outbox WHERE event_id LIKE $1 || '.%'", first.ID))
	require.Equal(t, []operations.Deed{operations.DeedHold, operations.DeedCancel}, w.acts(t, first.ID))
	_, err = w.Cancel(t.Context(), alice, "again", first.ID)
	refusedBy(t, err, "not waiting")
	_, err = w.Cancel(t.Context(), alice, "too late", second.ID)
	refusedBy(t, err, "not waiting")
	_, err = w.Cancel(t.Context(), alice, "what", "nothing")
	require.ErrorIs(t, err, operations.ErrNotFound)
}

// An answer that was lost may mean a charge: what is bound is not cancelled, and is
// not left held either.
func TestWhatACallMayHaveChargedIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	s := w.accept(t, "p", "potion", 50)
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1})
	_, err := w.teller.Charge(t.Context(), "p")
	require.Error(t, err)
	_, err = w.Cancel(t.Context(), alice, "the player asked", s.ID)
	refusedBy(t, err, "may have taken")
	require.False(t, w.at(t, s.ID, economy.Requested).Held)
	w.sim.SetFaults(simulator.Faults{})
	_, err = w.teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	w.at(t, s.ID, economy.Charged)
}

// Every spend is cancelled or settled by the provider, never both, while workers
// charge, are refused for lack of funds and decline on that evidence what is dearer.
func TestACancelRacesTheCharge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const players = 40
	w.sim.SetFaults(simulator.Faults{Jitter: 4 * time.Millisecond})
	var all sync.WaitGroup
	var mu sync.Mutex
	cancelled := map[string]error{}
	var wanted []economy.Spend
	for i := range players {
		player := fmt.Sprint("p", i)
		require.NoError(t, w.sim.SetBalance(player, economy.Amounts{"GEM": economy.Amount(40 * (i % 4))}))
		list := []economy.Spend{w.accept(t, player, "potion", 50), w.accept(t, player, "potion", 60), w.accept(t, player, "potion", 50)}
		wanted = append(wanted, list[1], list[2])
		all.Go(func() {
			for range 50 {
				if _, err := w.teller.Charge(t.Context(), player); err == nil || errors.Is(err, adjustments.ErrInHand) {
					return
				}
				time.Sleep(time.Millisecond) //nolint:forbidigo // the player is in hand; the provider is busy
			}
		})
		for _, s := range list[1:] {
			all.Go(func() {
				time.Sleep(time.Duration(i%8) * time.Millisecond) //nolint:forbidigo // spreads the cancels over the calls; nothing depends on it
				_, err := w.Cancel(t.Context(), alice, "race", s.ID)
				for err != nil && strings.Contains(err.Error(), "in a few seconds") {
					_, err = w.Cancel(t.Context(), alice, "race", s.ID)
				}
				mu.Lock()
				defer mu.Unlock()
				cancelled[s.ID] = err
			})
		}
	}
	all.Wait()
	w.sim.SetFaults(simulator.Faults{})
	made := 0
	for _, s := range wanted {
		_, err := w.teller.Charge(t.Context(), s.AppUserID)
		require.NoError(t, err)
		after, err := books.New(w.db).Spend(t.Context(), s.ID)
		require.NoError(t, err)
		require.False(t, after.Held, after)
		if cancelled[s.ID] == nil {
			made++
			require.Equal(t, economy.Cancelled, after.Reason, after)
			w.balanced(t, s.ID, map[string]int64{})
			require.Equal(t, operations.DeedCancel, w.acts(t, s.ID)[1])
			continue
		}
		refusedBy(t, cancelled[s.ID], "")
		require.NotEqual(t, economy.Cancelled, after.Reason, after)
	}
	require.NotZero(t, made)
	require.Less(t, made, len(wanted))
	t.Logf("%d of %d were cancelled", made, len(wanted))
	for i := range players {
		player := fmt.Sprint("p", i)
		kept := w.count(t, "SELECT count(*) FROM spends WHERE app_user_id = $1 AND state = 'charged'", player)
		require.Equal(t, kept, w.count(t, "SELECT used FROM item_counters WHERE app_user_id = $1", player), "each decline counts once")
		var charged economy.Amount
		require.NoError(t, w.db.Get(&charged, "SELECT coalesce(sum(amount), 0)::bigint FROM ledger_entries WHERE app_user_id = $1", player))
		require.Equal(t, economy.Amount(40*(i%4))-charged, w.sim.Balance(player)["GEM"])
	}
}

func TestAHeldSpendWaitsAndIsPassed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 1000}))
	first, second := w.accept(t, "p", "potion", 50), w.accept(t, "p", "potion", 50)
	_, err := w.Hold(t.Context(), alice, "looks odd", first.ID)
	require.NoError(t, err)
	_, err = w.Hold(t.Context(), bob, "me, too", first.ID)
	refusedBy(t, err, "held already")
	_, err = w.teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	w.at(t, first.ID, economy.Requested)
	w.at(t, second.ID, economy.Charged)
	_, err = w.Release(t.Context(), alice, "it is fine", first.ID)
	require.NoError(t, err)
	_, err = w.Release(t.Context(), alice, "it is fine", first.ID)
	refusedBy(t, err, "not held")
	_, err = w.teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	w.at(t, first.ID, economy.Charged)
	_, err = w.Hold(t.Context(), alice, "too late", first.ID)
	refusedBy(t, err, "only what waits")
	require.Equal(t, []operations.Deed{operations.DeedHold, operations.DeedRelease}, w.acts(t, first.ID))
}
