package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/reconcile"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// world is a database, the provider, and a run between them on a clock of its own.
type world struct {
	*reconcile.Runner
	t      *testing.T
	sim    *simulator.Simulator
	client *revenuecat.Client

	mu     sync.Mutex
	now    time.Time
	asked  []string
	before func(player string)               // each reading
	waits  func(n int, length time.Duration) // each wait
	n      int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	w.sim, err = simulator.New(simulator.Config{})
	require.NoError(t, err)
	server := httptest.NewServer(w.sim)
	t.Cleanup(func() { server.Close(); require.NoError(t, w.sim.Close()) })
	w.client, err = revenuecat.New(revenuecat.Config{
		BaseURL: server.URL + "/v2", ProjectID: simulator.ProjectIDDefault, SecretKey: func() string { return "sk" }, Now: w.clock,
	})
	require.NoError(t, err)
	t.Cleanup(w.client.Close)
	db := testenv.Postgres(t)
	w.Runner = &reconcile.Runner{
		DB: db, Provider: w, Customers: purchases.NewStore(db), Now: w.clock, NewID: outbox.NewID, Log: slog.New(slog.DiscardHandler),
		Wait: func(ctx context.Context, length time.Duration) error {
			w.mu.Lock()
			w.now = w.now.Add(max(0, length))
			w.n++
			n := w.n
			w.mu.Unlock()
			if w.waits != nil {
				w.waits(n, length)
			}
			return ctx.Err()
		},
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Balances reads at the simulator.
func (w *world) Balances(ctx context.Context, player string) (revenuecat.Reading, error) {
	w.mu.Lock()
	w.asked = append(w.asked, player)
	w.mu.Unlock()
	if w.before != nil {
		w.before(player)
	}
	return w.client.Balances(ctx, player)
}

// moved writes a line of our books as the consumer mirror does.
func (w *world) moved(player string, units int64) {
	w.t.Helper()
	w.exec(`INSERT INTO provider_movements (amount, moved_at, entered_at, movement_id, app_user_id, kind, currency, debit, credit, environment, source)
		VALUES ($1, now(), now(), $2, $3, 'provider_credit', 'GEM', 'issuance', 'wallet', 'production', 'admin_api')`, units, outbox.NewID(), player)
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	_, err := w.DB.ExecContext(w.t.Context(), query, args...)
	require.NoError(w.t, err)
}

// holds makes the provider hold so much.
func (w *world) holds(player string, units economy.Amount) {
	w.t.Helper()
	require.NoError(w.t, w.sim.SetBalance(player, economy.Amounts{"GEM": units}))
}

func (w *world) run(scope reconcile.Scope) reconcile.Report {
	w.t.Helper()
	report, err := w.Run(w.t.Context(), scope)
	require.NoError(w.t, err)
	return report
}

// agreeOn has the provider hold what our ledger says, of players p00, p01 and so on.
func (w *world) agreeOn(players int) {
	for i := range players {
		player := fmt.Sprintf("p%02d", i)
		w.moved(player, 100)
		w.holds(player, 100)
	}
}

var all = reconcile.Scope{By: "ann", Login: "ann@host"}

// TestDriftOfOneGemIsReportedAndRepaired: by a line of its own, with who and why; what
// was there stays, the provider's balance is not touched, and a second run agrees.
func TestDriftOfOneGemIsReportedAndRepaired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.agreeOn(60)
	w.holds("p07", 101)
	w.moved("p09", 1)
	w.moved("linked", 100) // with p11 one customer, of one balance
	w.exec("INSERT INTO customer_aliases VALUES (now(), 'p11', 'linked', 'test')")
	w.holds("p11", 200)
	w.holds("linked", 200)

	var waits []reconcile.Settling
	w.Settling = func(wait reconcile.Settling) { waits = append(waits, wait) }
	began := w.clock()
	report := w.run(all)
	require.Equal(t, []reconcile.Settling{{Customers: 2, Until: began.Add(reconcile.SettleDefault)}, {}}, waits, "it says what it waits for, and until when")
	require.EqualValues(t, 60, report.Customers)
	require.Equal(t, map[economy.Currency]reconcile.Total{"GEM": {Players: 2, Units: 2}}, report.Drifts)
	require.EqualValues(t, 58+60, report.Outcomes[reconcile.Agrees], "gems, and gold of which nobody has any")
	require.Equal(t, "p07", report.Results[0].CustomerID)
	require.EqualValues(t, 1, report.Results[0].Drift)
	require.EqualValues(t, -1, report.Results[1].Drift)

	repair := all
	repair.Repair, repair.Reason = true, "ticket 7"
	report = w.run(repair)
	require.False(t, report.Drifting())
	require.EqualValues(t, 2, report.Outcomes[reconcile.Repaired])
	var lines []string
	require.NoError(t, w.DB.Select(&lines, "SELECT concat_ws(' ', app_user_id, kind, amount, ledger_before, ledger_after, entered_by, reason) FROM ledger_corrections ORDER BY 1"))
	require.Equal(t, []string{"p07 correction_credit 1 100 101 ann ticket 7", "p09 correction_debit 1 101 100 ann ticket 7"}, lines)
	var acts []string
	require.NoError(t, w.DB.Select(&acts, "SELECT concat_ws(' ', deed, app_user_id, who, login, reason, before ->> 'wallet', after ->> 'wallet') FROM operator_acts ORDER BY app_user_id"))
	require.Equal(t, []string{"ledger.correct p07 ann ann@host ticket 7 100 101", "ledger.correct p09 ann ann@host ticket 7 101 100"}, acts)
	require.Equal(t, economy.Amounts{"GEM": 101}, w.sim.Balance("p07"))
	_, err := w.DB.ExecContext(t.Context(), "UPDATE ledger_corrections SET amount = 5")
	require.ErrorContains(t, err, "append-only")

	report = w.run(all)
	require.False(t, report.Drifting())
	require.EqualValues(t, 60+60, report.Outcomes[reconcile.Agrees])
}

// TestDriftOfABalanceThatIsNoMoreEnds: of a customer who turned out to be another one,
// and of a currency of which nobody has any by now.
func TestDriftOfABalanceThatIsNoMoreEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, player := range []string{"ann", "bob", "cid"} {
		w.moved(player, 100)
		w.holds(player, 101)
	}
	require.EqualValues(t, 3, w.run(all).Drifts["GEM"].Players)
	w.exec("INSERT INTO reconciliations (ledger, provider, drift, looks, read_at, run_id, customer_id, currency, outcome) VALUES (0, 5, 5, 2, now(), gen_random_uuid(), 'cid', 'OLD', 'drift')")
	w.exec("INSERT INTO customer_aliases VALUES (now(), 'ann', 'bob', 'test')")
	for _, player := range []string{"ann", "bob"} {
		w.holds(player, 200)
	}
	w.holds("cid", 100)
	require.False(t, w.run(all).Drifting())
	var drifting int
	require.NoError(t, w.DB.Get(&drifting, "SELECT count(*) FROM reconciliations WHERE drift <> 0"))
	require.Zero(t, drifting)
}

// TestADifferenceThatMovesIsNotDrift: a purchase whose webhook is on its way, a call of
// ours that is open or begins meanwhile, and a balance that never rests.
func TestADifferenceThatMovesIsNotDrift(t *testing.T) {
	t.Parallel()
	const open = `INSERT INTO adjustments (id, leased_until, opened_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
		VALUES ($1::uuid, now(), now(), $1, 'ann', 'charge', 'open', $1::uuid::text, '{}', '', '{"GEM": -50}')`
	for name, test := range map[string]struct {
		begin   func(w *world)
		outcome reconcile.Outcome
		why     string
		asked   int
	}{
		"a webhook comes between the looks": {func(w *world) {
			w.holds("ann", 110)
			w.waits = func(int, time.Duration) { w.moved("ann", 10) }
		}, reconcile.Agrees, "", 2},
		"a webhook waits for its consumer": {func(w *world) {
			w.holds("ann", 110)
			w.exec(`INSERT INTO outbox (event_id, consumer, lane, subject, payload) VALUES ('e', 'mirror', 'store', 's', '{"subject":"ann"}')`)
		}, reconcile.Unjudged, "not in our books yet", 2},
		"its delivery was set aside": {func(w *world) {
			w.holds("ann", 110)
			w.exec(`INSERT INTO dead_letters (attempts, event_id, consumer, lane, subject, error, payload) VALUES (1, 'e', 'mirror', 'store', 's', '', '{"id":"e","subject":"ann"}')`)
		}, reconcile.Unjudged, "not in our books yet", 2},
		"a call is open": {func(w *world) { w.exec(open, outbox.NewID()) }, reconcile.Unjudged, "has no outcome yet", 0},
		"a call begins meanwhile": {func(w *world) {
			w.before = func(string) { w.exec(open, outbox.NewID()); w.before = nil }
		}, reconcile.Unjudged, "our books moved", 1},
		"a balance that never rests": {func(w *world) {
			w.before = func(string) { w.holds("ann", 110+economy.Amount(len(w.asked))) }
		}, reconcile.Unjudged, "no two looks said the same", 4},
		"the provider does not know the customer": {
			func(w *world) { w.moved("zoe", 1) }, reconcile.Unjudged, "does not know", 2,
		},
		"it is the same twice": {func(w *world) { w.holds("ann", 110) }, reconcile.Drift, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.moved("ann", 100)
			w.holds("ann", 100)
			test.begin(w)
			report := w.run(all)
			require.NotZero(t, report.Outcomes[test.outcome], "%+v", report)
			require.Len(t, w.asked, test.asked)
			if test.outcome != reconcile.Agrees {
				require.Len(t, report.Results, 1)
			}
			if test.why != "" {
				require.Contains(t, report.Results[0].Why, test.why)
				require.False(t, report.Drifting())
			}
		})
	}
}

// TestARunGoesOnWhereItWasBrokenOff: at any customer; nobody is read twice, nobody is
// left out, and nothing is repaired twice.
func TestARunGoesOnWhereItWasBrokenOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const players = 130
	for i := range players {
		player := fmt.Sprintf("p%03d", i)
		w.moved(player, 100)
		w.holds(player, 101)
	}
	scope := all
	scope.Repair, scope.Reason = true, "day one"
	for kill := 60; ; kill += 60 {
		ctx, cancel := context.WithCancel(t.Context())
		w.before = func(string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.asked) >= kill {
				cancel()
			}
		}
		report, err := w.Run(ctx, scope)
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			continue
		}
		require.EqualValues(t, players, report.Customers)
		require.EqualValues(t, players, report.Outcomes[reconcile.Repaired])
		break
	}
	var corrected int64
	require.NoError(t, w.DB.Get(&corrected, "SELECT sum(amount) FROM ledger_corrections"))
	require.EqualValues(t, players, corrected)
	require.Less(t, len(w.asked), 2*players+players/2, "what was looked at before was not read again")
}

// TestARunThatWasBrokenOffCanBeginAnew: everybody is looked at again.
func TestARunThatWasBrokenOffCanBeginAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.agreeOn(60)
	ctx, cancel := context.WithCancel(t.Context())
	w.before = func(player string) {
		if player == "p55" {
			cancel()
		}
	}
	_, err := w.Run(ctx, all)
	require.ErrorIs(t, err, context.Canceled)
	w.before, w.asked = nil, nil
	anew := all
	anew.Anew = true
	require.EqualValues(t, 60, w.run(anew).Customers)
	require.Len(t, w.asked, 60)
}

// TestChosenAndSampledPlayersAlone: are read, and a second run beside another is refused.
func TestChosenAndSampledPlayersAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, player := range []string{"ann", "bob", "cid", "dan"} {
		w.moved(player, 1)
		w.holds(player, 1)
	}
	scope := all
	scope.Players = []string{"cid", "ann", "ann"}
	require.EqualValues(t, 2, w.run(scope).Customers)
	require.ElementsMatch(t, []string{"ann", "cid"}, w.asked)
	scope = all
	scope.Sample = 3
	require.EqualValues(t, 3, w.run(scope).Customers)
	scope.Purchases = true
	var wished []string
	w.Wish = func(_ context.Context, player string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		wished = append(wished, player)
		return nil
	}
	w.before = func(player string) { // the consumer resync was faster
		w.exec(`INSERT INTO customer_readings (app_user_id, started_at, finished_at, purchases, changed, found) VALUES ($1, $2, $2, 5, 2, true)`, player, w.clock())
	}
	report := w.run(scope)
	require.Len(t, wished, 3)
	require.Equal(t, []int64{3, 3, 6}, []int64{report.Wished, report.Read, report.News})
	w.before = nil
	other, err := w.DB.Connx(t.Context())
	require.NoError(t, err)
	defer other.Close()
	_, err = other.ExecContext(t.Context(), "SELECT pg_advisory_lock(x'7265636f6e'::bigint)")
	require.NoError(t, err)
	_, err = w.Run(t.Context(), all)
	require.ErrorIs(t, err, reconcile.ErrBusy)
	_, err = other.ExecContext(t.Context(), "SELECT pg_advisory_unlock_all()")
	require.NoError(t, err)
}

// TestACustomerWhoCannotBeReadKeepsNobodyElseWaiting: a refusal for good is tried some
// times; a wait that the provider names is waited for.
func TestACustomerWhoCannotBeReadKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.moved("..", 1) // an id that cannot be asked for
	w.moved("bob", 1)
	w.holds("bob", 1)
	w.sim.SetFaults(simulator.Faults{TooMany: 1})
	w.waits = func(n int, _ time.Duration) {
		if n == 6 {
			w.sim.SetFaults(simulator.Faults{})
		}
	}
	report := w.run(all)
	require.EqualValues(t, 2, report.Customers)
	require.NotZero(t, report.Outcomes[reconcile.Agrees], "of bob")
	require.Len(t, report.Results, 1)
	require.Contains(t, report.Results[0].Why, "does not tell the balance")
}

// What a report holds in memory is bounded; its sums are of all, and a file has all.
func TestAReportOfManyDifferencesIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.run(all)
	w.exec("UPDATE reconcile_runs SET finished_at = NULL") // as if it was broken off
	w.exec(`INSERT INTO reconciliations (customer_id, currency, ledger, provider, drift, looks, read_at, run_id, outcome, why)
		SELECT 'p' || n, 'GEM', 10, 10 + CASE n % 2 WHEN 0 THEN 3 ELSE -1 END, 0, 2, now(), id, 'drift', '' FROM reconcile_runs, generate_series(1, 1500) n`)
	report := w.run(all)
	require.Equal(t, first.RunID, report.RunID)
	require.Len(t, report.Results, 1000)
	require.EqualValues(t, 500, report.More)
	require.Equal(t, map[economy.Currency]reconcile.Total{"GEM": {Players: 1500, Units: 3000, Net: 1500}}, report.Drifts)
	n := 0
	require.NoError(t, w.Each(t.Context(), report.RunID, func(reconcile.Result) error { n++; return nil }))
	require.Equal(t, 1500, n)
}
