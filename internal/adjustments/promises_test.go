package adjustments_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/outbox"
)

// TestRevenueCatStaysTheSourceOfTruthForTheBalance: what our copy says decides
// nothing, and the provider's word replaces it.
func TestRevenueCatStaysTheSourceOfTruthForTheBalance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		mirror, really economy.Amount
		state          economy.State
		after          economy.Amount
	}{
		{"the mirror says nothing is left", 0, 80, economy.Charged, 30},
		{"the mirror says plenty is left", 1_000_000, 20, economy.Declined, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": test.really}))
			_, err := w.db.ExecContext(t.Context(), "INSERT INTO balances (app_user_id, currency, balance, as_of) VALUES ('p', 'GEM', $1, $2)",
				test.mirror, time.Now())
			require.NoError(t, err)
			spend := w.accept("p", "k", 50)
			_, err = w.teller().Charge(t.Context(), "p")
			require.NoError(t, err)
			require.Equal(t, test.state, w.spend(spend.ID).State)
			require.Equal(t, economy.Amounts{"GEM": test.after}, w.sim.Balance("p"))
			if test.state == economy.Charged { // a refusal names no balance: the copy stays, as old as it says
				balances, err := w.books.Balances(t.Context(), "p")
				require.NoError(t, err)
				require.Equal(t, test.after, balances[0].Balance, "the copy is the provider's reading")
			}
		})
	}
}

// imbalance counts, in one snapshot, the players' currencies of which more or less
// was charged than was fulfilled, refunded and is in flight, and what is in flight.
const imbalance = `
SELECT count(*) FILTER (WHERE charged <> fulfilled + refunded + in_flight) AS broken,
	coalesce(sum(charged), 0) AS charged, coalesce(sum(in_flight), 0) AS in_flight
FROM (
	SELECT app_user_id, currency,
		coalesce(sum(amount) FILTER (WHERE what = 'charge'), 0) AS charged,
		coalesce(sum(amount) FILTER (WHERE what = 'fulfil'), 0) AS fulfilled,
		coalesce(sum(amount) FILTER (WHERE what = 'refund'), 0) AS refunded,
		coalesce(sum(amount) FILTER (WHERE what = 'in_flight'), 0) AS in_flight
	FROM (
		SELECT app_user_id, currency, kind AS what, amount FROM ledger_entries
		UNION ALL
		SELECT app_user_id, c.key, 'in_flight', c.value::bigint FROM spends, jsonb_each_text(cost) c WHERE state IN ('charged', 'refunding')
	) lines GROUP BY app_user_id, currency
) sums`

type sums struct {
	Broken   int   `db:"broken"`
	Charged  int64 `db:"charged"`
	InFlight int64 `db:"in_flight"`
}

// TestConservation: per player and currency, charged = fulfilled + refunded + in
// flight, at every moment of a load of spends that end in every way.
func TestConservation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const players, each = 6, 12
	start := economy.Amounts{"GEM": 400, "GOLD": 15}
	var load sync.WaitGroup
	w.sim.SetFaults(simulator.Faults{FailBefore: 0.1, LoseAnswer: 0.1})
	for p := range players {
		player := fmt.Sprintf("p%d", p)
		require.NoError(t, w.sim.SetBalance(player, start))
		var spends []economy.Spend
		for i := range each {
			spend := economy.Spend{
				ID: outbox.NewID(), AppUserID: player, IdempotencyKey: fmt.Sprint(i), Item: "bundle", Quantity: 1, CatalogVersion: 1,
				Cost: economy.Amounts{"GEM": economy.Amount(20 + 5*i), "GOLD": 2}, State: economy.Requested, AcceptedAt: time.Now(),
			}
			_, err := w.committer.Commit(t.Context(), outbox.Effects{
				Guard: books.Accept{Spend: spend}, Events: []events.Event{events.NewSpendRequested(spend.ID, player, spend.AcceptedAt)},
			})
			require.NoError(t, err)
			spends = append(spends, spend)
		}
		teller := w.teller()
		load.Go(func() {
			for i, spend := range spends {
				for w.step(t.Context(), teller, spend.ID, i%3 == 0) != nil { // until it is final, as redelivery would
					if t.Context().Err() != nil {
						return
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { load.Wait(); close(done) }()
	polls, inFlight := 0, false
	for running := true; running; polls++ {
		select {
		case <-done:
			running = false // and one more look at the end
		default:
		}
		var s sums
		require.NoError(t, w.db.GetContext(t.Context(), &s, imbalance))
		require.Zero(t, s.Broken, "poll %d: %+v", polls, s)
		inFlight = inFlight || s.InFlight > 0
	}
	require.True(t, inFlight, "never anything in flight: this tests nothing")

	var rest sums
	require.NoError(t, w.db.GetContext(t.Context(), &rest, imbalance))
	require.Zero(t, rest.InFlight)
	require.NotZero(t, rest.Charged)
	for p := range players { // and the provider agrees
		player := fmt.Sprintf("p%d", p)
		kept := economy.Amounts{}
		for _, currency := range start.Currencies() {
			var spent int64
			require.NoError(t, w.db.GetContext(t.Context(), &spent,
				"SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE kind = 'fulfil' AND app_user_id = $1 AND currency = $2", player, string(currency)))
			kept[currency] = start[currency] - economy.Amount(spent)
		}
		require.True(t, kept.Equal(w.sim.Balance(player)), "%s: %s by the books, %s at the provider", player, kept, w.sim.Balance(player))
	}
	t.Logf("%d polls", polls)
}

// step takes a spend on its road to the end; nil when it is final.
func (w *world) step(ctx context.Context, teller interface {
	Charge(context.Context, string) ([]string, error)
	Refund(context.Context, economy.Spend) error
}, id string, refuse bool) error {
	spend, err := w.books.Spend(ctx, id)
	if err != nil {
		return err
	}
	var change economy.Change
	var facts []events.Event
	switch {
	case spend.State.Final():
		return nil
	case spend.State == economy.Requested:
		_, err = teller.Charge(ctx, spend.AppUserID)
	case spend.State == economy.Refunding:
		err = teller.Refund(ctx, spend)
	case refuse:
		change, facts = economy.HandOverRefusedFor(spend), []events.Event{events.NewSpendRefunding(id, spend.AppUserID, time.Now())}
	default:
		change = economy.HandedOver(spend, nil, time.Now())
	}
	if err == nil && !change.Empty() {
		_, err = w.committer.Commit(ctx, outbox.Effects{Guard: books.Move{Change: change}, Rows: books.With(change, time.Now()), Events: facts})
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s is on its way", spend)
}
