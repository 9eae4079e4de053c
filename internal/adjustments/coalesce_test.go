package adjustments_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/outbox"
)

// know has the mirror believe in a balance.
func (w *world) know(player string, gems economy.Amount) {
	w.t.Helper()
	require.NoError(w.t, w.books.KeepReading(w.t.Context(), player, economy.Amounts{"GEM": gems}, time.Now()))
}

func (w *world) states(spends []economy.Spend) []economy.State {
	w.t.Helper()
	list := make([]economy.State, len(spends))
	for i, spend := range spends {
		list[i] = w.spend(spend.ID).State
	}
	return list
}

func (w *world) acceptAll(player string, gems ...economy.Amount) []economy.Spend {
	w.t.Helper()
	spends := make([]economy.Spend, len(gems))
	for i, amount := range gems {
		spends[i] = w.accept(player, fmt.Sprint(i), amount)
	}
	return spends
}

func TestSpendsUpToTheKnownBalanceAreOneCallAndEachHasItsOwnLedgerLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.know("p", 100)
	spends := w.acceptAll("p", 50, 30, 20)
	_, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []economy.State{economy.Charged, economy.Charged, economy.Charged}, w.states(spends))
	require.Len(t, w.sim.Transactions("p"), 1)
	var lines []int64
	require.NoError(t, w.db.Select(&lines, "SELECT amount FROM ledger_entries ORDER BY amount"))
	require.Equal(t, []int64{20, 30, 50}, lines)
}

// The mirror believes in more than there is: the provider refuses all together,
// and halves in the order of acceptance find out who is paid for.
func TestRefusedTogetherIsSplitInTheOrderOfAcceptance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 75}))
	w.know("p", 10_000)
	spends := w.acceptAll("p", 20, 20, 20, 20, 20, 10)
	_, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []economy.State{
		economy.Charged, economy.Charged, economy.Charged, economy.Declined, economy.Declined, economy.Charged,
	}, w.states(spends))
	require.Equal(t, economy.Amounts{"GEM": 5}, w.sim.Balance("p"))
}

// One refusal of 50 declines everything that costs as much, and nothing cheaper.
func TestARefusalDeclinesOnItsEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 10}))
	spends := w.acceptAll("p", 50, 60, 10, 50, 5000)
	calls := w.sim.Stats().Calls
	settled, err := w.teller().Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Len(t, settled, 5)
	require.Equal(t, []economy.State{
		economy.Declined, economy.Declined, economy.Charged, economy.Declined, economy.Declined,
	}, w.states(spends))
	require.Equal(t, 2, w.sim.Stats().Calls-calls, "one refusal, one charge")
	var owed int
	require.NoError(t, w.db.Get(&owed, "SELECT count(*) FROM outbox WHERE consumer = 'adjust'"))
	require.Zero(t, owed)
}

// A charge whose outcome stays unknown holds up the player's later spends for
// five minutes. Then they pass it, and it is asked about under its own key still.
func TestUnknownStepsAsideAfterFiveMinutesAndIsSettledUnderItsOwnKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	clock := &movingClock{now: time.Now()}
	teller := w.tellerAt(clock.Now)
	lost := w.accept("p", "lost", 50)
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1, ReplayConflict: 1}) // applied, and every repeat is answered 409
	_, err := teller.Charge(t.Context(), "p")
	require.Error(t, err)
	later := w.accept("p", "later", 20)

	w.sim.SetFaults(simulator.Faults{ReplayConflict: 1})
	clock.move(4 * time.Minute)
	_, err = teller.Charge(t.Context(), "p")
	require.Error(t, err)
	require.Equal(t, []economy.State{economy.Requested, economy.Requested}, w.states([]economy.Spend{lost, later}))

	clock.move(2 * time.Minute)
	settled, err := teller.Charge(t.Context(), "p") // steps aside, and the same call passes it
	require.NoError(t, err)
	require.Equal(t, []string{later.ID}, settled)
	require.Equal(t, []economy.State{economy.Requested, economy.Charged}, w.states([]economy.Spend{lost, later}))
	require.False(t, w.spend(lost.ID).UnknownSince.IsZero(), "still visible")
	require.Error(t, teller.Resolve(t.Context(), w.spend(lost.ID)))

	w.sim.SetFaults(simulator.Faults{})
	require.NoError(t, teller.Resolve(t.Context(), w.spend(lost.ID)))
	require.Equal(t, economy.Charged, w.spend(lost.ID).State)
	require.Equal(t, economy.Amounts{"GEM": 30}, w.sim.Balance("p"))
}

type movingClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movingClock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// tellerAt is one more process, with a clock of its own.
func (w *world) tellerAt(now func() time.Time) *adjustments.Teller {
	w.t.Helper()
	client, err := revenuecat.New(revenuecat.Config{BaseURL: w.url, ProjectID: simulator.ProjectIDDefault, SecretKey: func() string { return "sk_test" }})
	require.NoError(w.t, err)
	w.t.Cleanup(client.Close)
	return adjustments.NewTeller(adjustments.Config{
		Turns: adjustments.NewGathered(w.db, w.db), Committer: w.committer, Provider: client,
		Process: outbox.NewID(), NewID: outbox.NewID, Now: now, Log: slog.New(slog.DiscardHandler),
	})
}

// Whoever hands over takes the word of the process that charged, so it must be all
// that the database would say.
func TestWhatIsToldOfAChargedSpendIsWhatIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.know("p", 100)
	spends := w.acceptAll("p", 50, 30)
	_, err := w.tellerAt(func() time.Time { return time.Now().Truncate(time.Microsecond) }).Charge(t.Context(), "p")
	require.NoError(t, err)
	for _, spend := range spends {
		told, ok := w.moved.Load(spend.ID)
		require.True(t, ok)
		require.Equal(t, utc(w.spend(spend.ID)), utc(told.(economy.Spend)))
	}
}

func utc(spend economy.Spend) economy.Spend {
	for _, at := range []*time.Time{&spend.AcceptedAt, &spend.ChargedAt, &spend.FinishedAt, &spend.UnknownSince, &spend.RevokedAt} {
		if !at.IsZero() {
			*at = at.UTC()
		}
	}
	return spend
}
