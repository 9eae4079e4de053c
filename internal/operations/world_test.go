package operations_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/outbox"
)

// world is an office beside a worker of another process, and the provider.
type world struct {
	*office
	sim    *simulator.Simulator
	teller *adjustments.Teller
	works  *outbox.Committer // the worker's
}

func newWorld(t *testing.T) *world {
	t.Helper()
	o := newOffice(t)
	sim, err := simulator.New(simulator.Config{})
	require.NoError(t, err)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	client, err := revenuecat.New(revenuecat.Config{BaseURL: server.URL + "/v2", ProjectID: simulator.ProjectIDDefault, SecretKey: func() string { return "sk_test" }})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	works := outbox.NewCommitter(outbox.CommitterConfig{DB: o.db, Subscriptions: owed})
	t.Cleanup(works.Close)
	store := adjustments.NewGathered(o.db, o.db)
	return &world{o, sim, adjustments.NewTeller(adjustments.Config{
		Turns: store, Refusals: store, Committer: works, Provider: client, Process: outbox.NewID(), NewID: outbox.NewID, Now: o.Now,
		Log: slog.New(slog.DiscardHandler),
	}), works}
}

// accept accepts a spend of the item, of which a player may have three.
func (w *world) accept(t *testing.T, player, item string, gems economy.Amount) economy.Spend {
	t.Helper()
	b := books.New(w.db)
	require.NoError(t, b.OpenCounter(t.Context(), player, item))
	spend := economy.Spend{
		ID: outbox.NewID(), AppUserID: player, IdempotencyKey: outbox.NewID(), Item: item, Quantity: 1, Cost: economy.Amounts{"GEM": gems},
		CatalogVersion: w.catalog.Version, State: economy.Requested, AcceptedAt: w.Now(), Limited: true,
	}
	result, err := w.works.Commit(t.Context(), outbox.Effects{
		Guard: books.Accept{Spend: spend, PlayerLimit: 3}, Touches: []string{books.LimitKey(player, item)},
		Events: []events.Event{events.NewSpendRequested(spend.ID, player, spend.AcceptedAt)},
	})
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
	return spend
}

// fulfilled accepts a spend, charges it and hands it over.
func (w *world) fulfilled(t *testing.T, player, item string, gems economy.Amount) economy.Spend {
	t.Helper()
	s := w.accept(t, player, item, gems)
	_, err := w.teller.Charge(t.Context(), player)
	require.NoError(t, err)
	s = w.at(t, s.ID, economy.Charged)
	var grant *economy.Grant
	if item == "potion" {
		grant = &economy.Grant{SpendID: s.ID, AppUserID: player, Item: item, Quantity: 1}
	}
	change := economy.HandedOver(s, grant, w.Now())
	_, err = w.works.Commit(t.Context(), outbox.Effects{
		Guard: books.Move{Change: change}, Rows: books.With(change, w.Now()),
		Done: []outbox.Delivery{{EventID: events.EventID(events.SpendChargedV1, s.ID), Consumer: "fulfil"}},
	})
	require.NoError(t, err)
	return w.at(t, s.ID, economy.Fulfilled)
}

// at requires a spend to be in a state.
func (w *world) at(t *testing.T, id string, state economy.State) economy.Spend {
	t.Helper()
	s, err := books.New(w.db).Spend(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, state, s.State, s)
	return s
}

// balanced requires the books of a spend to balance: what each account has of it.
func (w *world) balanced(t *testing.T, id string, want map[string]int64) {
	t.Helper()
	var lines []struct {
		Debit, Credit string
		Amount        int64
	}
	require.NoError(t, w.db.Select(&lines, "SELECT debit, credit, amount FROM ledger_entries WHERE spend_id = $1", id))
	got := map[string]int64{}
	for _, line := range lines {
		got[line.Debit] -= line.Amount
		got[line.Credit] += line.Amount
	}
	for account, amount := range got {
		if amount == 0 {
			delete(got, account)
		}
	}
	require.Equal(t, want, got)
}
