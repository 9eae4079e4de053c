package books_test

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func newCommitter(t *testing.T, db *sqlx.DB) *outbox.Committer {
	t.Helper()
	c := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(c.Close)
	return c
}

func newSpend(player, key string) economy.Spend {
	return economy.Spend{
		ID: outbox.NewID(), AppUserID: player, IdempotencyKey: key, Item: "extra_life", Quantity: 2,
		Cost: economy.Amounts{"GEM": 50, "GOLD": 3}, CatalogVersion: 7, State: economy.Requested,
		AcceptedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// The table of transitions stands three times: in Go, as the database's CHECK and
// as the diagram in docs/flow.md. All three allow the same pairs and no others.
func TestTransitionsInGoInSQLAndInTheDocumentAreTheSame(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	diagram := diagramOf(t, "../../docs/flow.md")
	for _, from := range economy.States {
		for _, to := range economy.States {
			allowed := economy.CanMove(from, to)
			require.Equal(t, allowed, diagram[economy.Transition{From: from, To: to}], "docs/flow.md: %s to %s", from, to)
			require.Equal(t, allowed, moveInSQL(t, db, from, to), "CHECK: %s to %s", from, to)
		}
		require.Equal(t, from == economy.Requested, insertInSQL(t, db, from), "CHECK: a new spend that is %s", from)
	}
	require.Len(t, diagram, len(economy.Transitions))
}

// diagramOf reads the arrows between states in a mermaid state diagram.
func diagramOf(t *testing.T, path string) map[economy.Transition]bool {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	arrows := map[economy.Transition]bool{}
	for _, match := range regexp.MustCompile(`(?m)^\s+(\w+) --> (\w+)`).FindAllSubmatch(raw, -1) {
		arrows[economy.Transition{From: economy.State(match[1]), To: economy.State(match[2])}] = true
	}
	return arrows
}

// moveInSQL reports whether the database lets a spend go from one state to the other.
func moveInSQL(t *testing.T, db *sqlx.DB, from, to economy.State) bool {
	t.Helper()
	left := map[economy.State]string{ // some way into each state
		economy.Charged: "requested", economy.Declined: "requested", economy.Fulfilled: "charged",
		economy.Refunding: "charged", economy.Refunded: "refunding",
	}
	tx, err := db.Beginx()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	id := outbox.NewID()
	_, err = tx.Exec(`INSERT INTO adjustments (id, app_user_id, purpose, state, idempotency_key, body, deltas, leased_by, leased_until, opened_at, change_id)
		VALUES ($1, 'p', 'charge', 'open', $2, '', '{}', '', now(), now(), $1)`, id, id)
	require.NoError(t, err)
	_, err = tx.Exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, change_id, app_user_id, idempotency_key, item, cost, adjustment_id, state, left_state)
		VALUES ($1, 1, 1, now(), $1, 'p', $4, 'i', '{}', $1, $2, nullif($3, ''))`, id, string(from), left[from], id)
	require.NoError(t, err)
	_, err = tx.Exec("UPDATE spends SET left_state = state, state = $2 WHERE id = $1", id, string(to))
	if err != nil {
		require.Equal(t, postgres.Data, postgres.Classify(err), err)
	}
	return err == nil
}

func insertInSQL(t *testing.T, db *sqlx.DB, state economy.State) bool {
	t.Helper()
	tx, err := db.Beginx()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, change_id, app_user_id, idempotency_key, item, cost, state)
		VALUES ($1, 1, 1, now(), $1, 'p', 'k', 'i', '{}', $2)`, outbox.NewID(), string(state))
	return err == nil
}

func TestAcceptedSpendReadsBackAsItWas(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c, b := newCommitter(t, db), books.New(db)
	spend := newSpend(`p "quoted" \ {brace}, 雪`, "key,with\"everything'")
	result, err := c.Commit(t.Context(), outbox.Effects{Guard: books.Accept{Spend: spend}})
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
	read, err := b.Spend(t.Context(), spend.ID)
	require.NoError(t, err)
	read.AcceptedAt = read.AcceptedAt.UTC()
	require.Equal(t, spend, read)
	byKey, err := b.SpendByKey(t.Context(), spend.AppUserID, spend.IdempotencyKey)
	require.NoError(t, err)
	require.Equal(t, spend.ID, byKey.ID)
	for _, id := range []string{"", "x", outbox.NewID()} {
		_, err = b.Spend(t.Context(), id)
		require.ErrorIs(t, err, books.ErrNotFound)
	}
}

func TestLimitPerPlayerHoldsAgainstManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	b := books.New(db)
	require.NoError(t, b.OpenCounter(t.Context(), "p", "extra_life"))
	one, two := newCommitter(t, db), newCommitter(t, db) // two processes
	var mu sync.Mutex
	tally := map[outbox.Result]int{}
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			effects := outbox.Effects{
				Guard:   books.Accept{Spend: newSpend("p", fmt.Sprint(i)), PlayerLimit: 11}, // five times two
				Touches: []string{books.LimitKey("p", "extra_life")},
			}
			result, err := []*outbox.Committer{one, two}[i%2].Commit(t.Context(), effects)
			if err != nil {
				t.Errorf("commit: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			tally[result]++
		})
	}
	group.Wait()
	require.Equal(t, map[outbox.Result]int{outbox.Applied: 5, outbox.Stale: 35}, tally)
}

func TestDeclinedSpendGivesItsShareOfTheLimitBack(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c, b := newCommitter(t, db), books.New(db)
	require.NoError(t, b.OpenCounter(t.Context(), "p", "extra_life"))
	accept := func(key string) (economy.Spend, outbox.Result) {
		spend := newSpend("p", key)
		result, err := c.Commit(t.Context(), outbox.Effects{Guard: books.Accept{Spend: spend, PlayerLimit: 2}})
		require.NoError(t, err)
		return spend, result
	}
	spend, result := accept("1")
	require.Equal(t, outbox.Applied, result)
	_, result = accept("2")
	require.Equal(t, outbox.Stale, result)
	spend, err := b.Spend(t.Context(), spend.ID)
	require.NoError(t, err)
	change := economy.Settle(spend, economy.Outcome{Kind: economy.Insufficient}, time.Now())
	_, err = c.Commit(t.Context(), outbox.Effects{Guard: books.Move{Change: change}, Rows: books.With(change, time.Now())})
	require.NoError(t, err)
	_, result = accept("3")
	require.Equal(t, outbox.Applied, result)
}

func TestLedgerIsAppendOnly(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	for _, query := range []string{"UPDATE ledger_entries SET amount = 1", "DELETE FROM ledger_entries", "TRUNCATE ledger_entries"} {
		_, err := db.Exec(query)
		require.ErrorContains(t, err, "append-only", query)
	}
}

func TestReadingOfABalanceReplacesOnlyAnOlderOne(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	b := books.New(db)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	keep := func(gems economy.Amount, at time.Time) economy.Amount {
		require.NoError(t, b.KeepReading(t.Context(), "p", economy.Amounts{"GEM": gems}, at))
		list, err := b.Balances(t.Context(), "p")
		require.NoError(t, err)
		return list[0].Balance
	}
	require.Equal(t, economy.Amount(10), keep(10, noon))
	require.Equal(t, economy.Amount(10), keep(99, noon.Add(-time.Second)), "its call started earlier")
	require.Equal(t, economy.Amount(20), keep(20, noon.Add(time.Second)))
	id := outbox.NewID()
	_, err := db.Exec(`INSERT INTO adjustments (id, app_user_id, purpose, state, idempotency_key, body, deltas, leased_by, leased_until, opened_at, change_id)
		VALUES ($1, 'p', 'charge', 'open', 'k', '', '{}', '', now(), now(), $1)`, id)
	require.NoError(t, err)
	require.Equal(t, economy.Amount(20), keep(30, noon.Add(2*time.Second)), "an adjustment of ours is under way")
	_, err = db.Exec("UPDATE adjustments SET state = 'applied', settled_at = $1", noon.Add(4*time.Second))
	require.NoError(t, err)
	require.Equal(t, economy.Amount(20), keep(30, noon.Add(3*time.Second)), "one ended after the call had started")
	require.Equal(t, economy.Amount(30), keep(30, noon.Add(5*time.Second)))
}

func TestSameCatalogueIsOneVersionAndVersionsStay(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	catalogs := books.NewCatalogs(db)
	catalog := economy.Catalog{Items: map[string]economy.Item{"extra_life": {
		ID: "extra_life", Price: economy.Amounts{"GEM": 50}, QuantityMin: 1, QuantityMax: 9, HandOver: economy.HandOver{Port: economy.HandOverInventory},
	}}}
	first, err := catalogs.Store(t.Context(), catalog)
	require.NoError(t, err)
	again, err := books.NewCatalogs(db).Store(t.Context(), catalog)
	require.NoError(t, err)
	require.Equal(t, first.Version, again.Version)

	dearer := catalog.Items["extra_life"]
	dearer.Price = economy.Amounts{"GEM": 60}
	second, err := catalogs.Store(t.Context(), economy.Catalog{Items: map[string]economy.Item{"extra_life": dearer}})
	require.NoError(t, err)
	require.Greater(t, second.Version, first.Version)
	old, err := catalogs.Catalog(t.Context(), first.Version)
	require.NoError(t, err)
	require.Equal(t, economy.Amounts{"GEM": 50}, old.Items["extra_life"].Price)
	_, err = catalogs.Catalog(t.Context(), 999)
	require.ErrorIs(t, err, books.ErrNotFound)
}
