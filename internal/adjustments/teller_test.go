package adjustments_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// world is a database, a provider, and tellers between them.
type world struct {
	t         *testing.T
	db        *sqlx.DB
	sim       *simulator.Simulator
	url       string
	committer *outbox.Committer
	books     *books.Books
	moved     sync.Map // spends by id, as commits left them
}

// keep remembers what a commit made of a spend.
func (w *world) keep(spend economy.Spend) { w.moved.Store(spend.ID, spend) }

func newWorld(t *testing.T) *world {
	t.Helper()
	sim, err := simulator.New(simulator.Config{})
	require.NoError(t, err)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	db := testenv.Postgres(t)
	w := &world{t: t, db: db, sim: sim, url: server.URL + "/v2", books: books.New(db)}
	w.committer = outbox.NewCommitter(outbox.CommitterConfig{
		DB: db, Log: slog.New(slog.DiscardHandler), Moved: w.keep, Subscriptions: outbox.Subscriptions{
			events.SpendRequestedV1: {"adjust"}, events.SpendChargedV1: {"fulfil"}, events.SpendRefundingV1: {"compensate"},
		},
	})
	t.Cleanup(w.committer.Close)
	return w
}

// teller is one more process.
func (w *world) teller() *adjustments.Teller {
	w.t.Helper()
	return w.tellerAt(time.Now)
}

func (w *world) accept(player, key string, gems economy.Amount) economy.Spend {
	w.t.Helper()
	spend := economy.Spend{
		ID: outbox.NewID(), AppUserID: player, IdempotencyKey: key, Item: "extra_life", Quantity: 1,
		Cost: economy.Amounts{"GEM": gems}, CatalogVersion: 1, State: economy.Requested, AcceptedAt: time.Now(),
	}
	result, err := w.committer.Commit(w.t.Context(), outbox.Effects{
		Guard: books.Accept{Spend: spend}, Events: []events.Event{events.NewSpendRequested(spend.ID, player, spend.AcceptedAt)},
	})
	require.NoError(w.t, err)
	require.Equal(w.t, outbox.Applied, result)
	return spend
}

func (w *world) spend(id string) economy.Spend {
	w.t.Helper()
	spend, err := w.books.Spend(w.t.Context(), id)
	require.NoError(w.t, err)
	return spend
}

// keep calls until what it calls succeeds, as redelivery would.
func keep(t *testing.T, call func() error) {
	t.Helper()
	require.Eventually(t, func() bool { return call() == nil }, 30*time.Second, 5*time.Millisecond)
}

func TestChargeTakesTheCostAndWritesTheLedgerInOneCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 120}))
	first, second, third := w.accept("p", "1", 50), w.accept("p", "2", 50), w.accept("p", "3", 50)
	settled, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{first.ID, second.ID, third.ID}, settled, "in the order they were accepted")
	require.Equal(t, economy.Charged, w.spend(first.ID).State)
	require.Equal(t, economy.Charged, w.spend(second.ID).State)
	require.Equal(t, economy.Declined, w.spend(third.ID).State)
	require.Equal(t, economy.InsufficientFunds, w.spend(third.ID).Reason)
	require.Equal(t, economy.Amounts{"GEM": 20}, w.sim.Balance("p"))

	var charged int
	require.NoError(t, w.db.Get(&charged, "SELECT sum(amount) FROM ledger_entries WHERE kind = 'charge'"))
	require.Equal(t, 100, charged)
	var owed []string
	require.NoError(t, w.db.Select(&owed, "SELECT consumer FROM outbox ORDER BY event_id"))
	require.Equal(t, []string{"fulfil", "fulfil"}, owed, "the charge deliveries are done, the hand-overs owed")
	balances, err := w.books.Balances(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, balances, 1)
	require.Equal(t, economy.Amount(20), balances[0].Balance)
}

func TestChargedAtMostOnceWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 10_000}))
	var spends []economy.Spend
	for i := range 20 {
		spends = append(spends, w.accept("p", fmt.Sprint(i), 50))
	}
	w.sim.SetFaults(simulator.Faults{FailBefore: 0.33, LoseAnswer: 0.33})
	teller := w.teller()
	keep(t, func() error { _, err := teller.Charge(t.Context(), "p"); return err })
	for _, spend := range spends {
		require.Equal(t, economy.Charged, w.spend(spend.ID).State)
	}
	require.Equal(t, economy.Amounts{"GEM": 10_000 - 20*50}, w.sim.Balance("p"))
	charged := economy.Amount(0)
	for _, transaction := range w.sim.Transactions("p") {
		charged += transaction.Adjustments["GEM"]
	}
	require.Equal(t, economy.Amount(-20*50), charged)
}

func TestUnknownIsMarkedAndSettledUnderTheSameKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	spend := w.accept("p", "1", 50)
	teller := w.teller()
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1})
	_, err := teller.Charge(t.Context(), "p")
	var retry *adjustments.Retry
	require.ErrorAs(t, err, &retry)
	require.False(t, w.spend(spend.ID).UnknownSince.IsZero(), "the spend shows that its outcome is unknown")
	require.Equal(t, economy.Requested, w.spend(spend.ID).State)

	w.sim.SetFaults(simulator.Faults{})
	_, err = teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, economy.Charged, w.spend(spend.ID).State)
	require.True(t, w.spend(spend.ID).UnknownSince.IsZero())
	require.Equal(t, economy.Amounts{"GEM": 50}, w.sim.Balance("p"))
}

func TestOneOpenAdjustmentIsAdoptedWithTheSameKeyAndBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	spend := w.accept("p", "1", 50)
	w.sim.SetFaults(simulator.Faults{FailBefore: 1})
	_, err := w.teller().Charge(t.Context(), "p")
	require.Error(t, err)
	var before, after struct {
		ID       string `db:"id"`
		Key      string `db:"idempotency_key"`
		Body     string `db:"body"`
		Attempts int    `db:"attempts"`
	}
	const query = "SELECT id, idempotency_key, body, attempts FROM adjustments"
	require.NoError(t, w.db.Get(&before, query))

	w.sim.SetFaults(simulator.Faults{})
	_, err = w.teller().Charge(t.Context(), "p") // another process
	require.NoError(t, err)
	require.NoError(t, w.db.Get(&after, query))
	before.Attempts++
	require.Equal(t, before, after)
	require.Equal(t, economy.Charged, w.spend(spend.ID).State)
	require.Equal(t, after.Key, w.sim.Transactions("p")[0].IdempotencyKey)
}

func TestLeaseKeepsAnotherProcessAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.accept("p", "1", 50)
	w.sim.SetFaults(simulator.Faults{FailBefore: 1})
	_, err := w.teller().Charge(t.Context(), "p")
	require.Error(t, err)
	_, err = w.db.Exec("UPDATE adjustments SET leased_by = 'somebody', leased_until = now() + interval '1 minute'")
	require.NoError(t, err)
	calls := w.sim.Stats().Calls

	_, err = w.teller().Charge(t.Context(), "p")
	var retry *adjustments.Retry
	require.ErrorAs(t, err, &retry)
	require.Positive(t, retry.After)
	require.Equal(t, calls, w.sim.Stats().Calls)
}

func TestManyProcessesChargeOnePlayerOnceInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100_000}))
	var ids []string
	for i := range 30 {
		ids = append(ids, w.accept("p", fmt.Sprint(i), economy.Amount(i+1)).ID)
	}
	var group sync.WaitGroup
	for range 4 {
		teller := w.teller()
		for range 2 {
			group.Go(func() {
				keep(t, func() error {
					_, err := teller.Charge(t.Context(), "p")
					if err == adjustments.ErrInHand { //nolint:errorlint // exactly this one
						return nil
					}
					return err
				})
			})
		}
	}
	group.Wait()
	keep(t, func() error { _, err := w.teller().Charge(t.Context(), "p"); return err })
	transactions := w.sim.Transactions("p")
	require.LessOrEqual(t, len(transactions), 3, "spends that wait together are charged together")
	charged := economy.Amount(0)
	for _, transaction := range transactions {
		charged += transaction.Adjustments["GEM"]
	}
	require.Equal(t, economy.Amount(-30*31/2), charged)
	for _, id := range ids {
		require.Equal(t, economy.Charged, w.spend(id).State)
	}
}

func TestRefundGivesTheCostBackOnceAndARefusalNeedsAnOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	spend := w.accept("p", "1", 60)
	teller := w.teller()
	_, err := teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	spend = w.refuse(spend.ID)

	w.sim.SetFaults(simulator.Faults{LoseAnswer: 0.5, FailBefore: 0.3})
	keep(t, func() error { return teller.Refund(t.Context(), spend) })
	require.Equal(t, economy.Refunded, w.spend(spend.ID).State)
	require.Equal(t, economy.Amounts{"GEM": 100}, w.sim.Balance("p"))

	w.sim.SetFaults(simulator.Faults{})
	second := w.accept("p", "2", 60)
	_, err = teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	second = w.refuse(second.ID)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": economy.BalanceMax}))
	require.NoError(t, teller.Refund(t.Context(), second))
	require.Equal(t, economy.Refunding, w.spend(second.ID).State)
	require.NotEmpty(t, w.spend(second.ID).NeedsOperator)
}

// refuse takes a charged spend to refunding.
func (w *world) refuse(id string) economy.Spend {
	w.t.Helper()
	change := economy.HandOverRefusedFor(w.spend(id))
	result, err := w.committer.Commit(w.t.Context(), outbox.Effects{
		Guard: books.Move{Change: change}, Events: []events.Event{events.NewSpendRefunding(id, "p", time.Now())},
	})
	require.NoError(w.t, err)
	require.Equal(w.t, outbox.Applied, result)
	return w.spend(id)
}
