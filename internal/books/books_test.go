package books_test

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
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

// The tables of transitions stand three times: in Go, as the database's CHECK and
// as the diagrams in docs/flow.md. All three allow the same pairs and no others.
func TestTransitionsInGoInSQLAndInTheDocumentAreTheSame(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	diagrams := diagramsOf(t, "../../docs/flow.md")
	require.Len(t, diagrams, len(economy.Kinds), "one diagram per kind, in the order of economy.Kinds")
	for i, kind := range economy.Kinds {
		for _, from := range economy.States {
			for _, to := range economy.States {
				allowed := economy.CanMove(kind, from, to)
				require.Equal(t, allowed, diagrams[i][economy.Transition{From: from, To: to}], "docs/flow.md: %s, %s to %s", kind, from, to)
				require.Equal(t, allowed, moveInSQL(t, db, kind, from, to), "CHECK: %s, %s to %s", kind, from, to)
			}
			require.Equal(t, from == economy.Requested, insertInSQL(t, db, kind, from), "CHECK: a new %s that is %s", kind, from)
		}
		require.Len(t, diagrams[i], len(economy.Transitions[kind]))
	}
}

// diagramsOf reads the arrows between states in each mermaid state diagram.
func diagramsOf(t *testing.T, path string) []map[economy.Transition]bool {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var diagrams []map[economy.Transition]bool
	for _, block := range regexp.MustCompile("(?s)stateDiagram-v2(.*?)```").FindAllSubmatch(raw, -1) {
		arrows := map[economy.Transition]bool{}
		for _, match := range regexp.MustCompile(`(?m)^\s+(\w+) --> (\w+)`).FindAllSubmatch(block[1], -1) {
			arrows[economy.Transition{From: economy.State(match[1]), To: economy.State(match[2])}] = true
		}
		diagrams = append(diagrams, arrows)
	}
	return diagrams
}

// moveInSQL reports whether the database lets a row of spends go from one state
// to the other. It gets into the first one by the constraint's back door, since a
// grant has no way into most.
func moveInSQL(t *testing.T, db *sqlx.DB, kind economy.Kind, from, to economy.State) bool {
	t.Helper()
	tx, err := db.Beginx()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	id := outbox.NewID()
	_, err = tx.Exec(`INSERT INTO adjustments (id, app_user_id, purpose, state, idempotency_key, body, deltas, leased_by, leased_until, opened_at, change_id)
		VALUES ($1, 'p', 'charge', 'open', $2, '', '{}', '', now(), now(), $1)`, id, id)
	require.NoError(t, err)
	var check string
	require.NoError(t, tx.Get(&check, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'spends_state_check'"))
	_, err = tx.Exec("ALTER TABLE spends DROP CONSTRAINT spends_state_check")
	require.NoError(t, err)
	_, err = tx.Exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, change_id, app_user_id, idempotency_key, item, cost, adjustment_id, kind, state)
		VALUES ($1, 1, 1, now(), CASE WHEN $5 THEN now() END, $1, 'p', $4, 'i', '{}', $1, $2, $3)`, id, kind.String(), string(from), id, from.Final())
	require.NoError(t, err)
	_, err = tx.Exec("ALTER TABLE spends ADD CONSTRAINT spends_state_check " + check + " NOT VALID")
	require.NoError(t, err)
	_, err = tx.Exec("UPDATE spends SET left_state = state, state = $2, finished_at = CASE WHEN $3 THEN now() END WHERE id = $1", id, string(to), to.Final())
	if err != nil {
		require.Equal(t, postgres.Data, postgres.Classify(err), err)
	}
	return err == nil
}

func insertInSQL(t *testing.T, db *sqlx.DB, kind economy.Kind, state economy.State) bool {
	t.Helper()
	tx, err := db.Beginx()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec(`INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, change_id, app_user_id, idempotency_key, item, cost, kind, state)
		VALUES ($1, 1, 1, now(), CASE WHEN $4 THEN now() END, $1, 'p', 'k', 'i', '{}', $2, $3)`, outbox.NewID(), kind.String(), string(state), state.Final())
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

func TestAGrantSharesTheKeysOfItsPlayer(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c, b := newCommitter(t, db), books.New(db)
	spend := newSpend("p", "k1")
	grant := economy.Spend{
		ID: outbox.NewID(), Kind: economy.KindGrant, AppUserID: "p", IdempotencyKey: "k2", Quantity: 1, Note: `a "quest", 雪`,
		Cost: economy.Amounts{"GEM": 100}, State: economy.Requested, AcceptedAt: spend.AcceptedAt,
	}
	accept := func(s economy.Spend) outbox.Result {
		result, err := c.Commit(t.Context(), outbox.Effects{Guard: books.Accept{Spend: s}})
		require.NoError(t, err)
		return result
	}
	require.Equal(t, outbox.Applied, accept(spend))
	require.Equal(t, outbox.Applied, accept(grant))
	read, err := b.Spend(t.Context(), grant.ID)
	require.NoError(t, err)
	read.AcceptedAt = read.AcceptedAt.UTC()
	require.Equal(t, grant, read)
	spend.IdempotencyKey, spend.ID = "k2", outbox.NewID()
	require.Equal(t, outbox.Duplicate, accept(spend))
	grant.IdempotencyKey, grant.ID = "k1", outbox.NewID()
	require.Equal(t, outbox.Duplicate, accept(grant))
}

func TestOpenSpendsOfAPlayerAreCapped(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c, b := newCommitter(t, db), books.New(db)
	accept := func(player, key string) (economy.Spend, outbox.Result) {
		spend := newSpend(player, key)
		result, err := c.Commit(t.Context(), outbox.Effects{Guard: books.Accept{Spend: spend, OpenMax: 3}})
		require.NoError(t, err)
		return spend, result
	}
	first, _ := accept("p", "1")
	for _, key := range []string{"2", "3"} {
		_, result := accept("p", key)
		require.Equal(t, outbox.Applied, result)
	}
	_, result := accept("p", "4")
	require.Equal(t, outbox.Stale, result)
	_, result = accept("p", "2")
	require.Equal(t, outbox.Duplicate, result, "a key that was used is told so at the cap, too")
	_, result = accept("q", "1")
	require.Equal(t, outbox.Applied, result, "another player's line is another")

	// What is settled makes room.
	first, err := b.Spend(t.Context(), first.ID)
	require.NoError(t, err)
	declined := economy.Settle(first, economy.Outcome{Kind: economy.Insufficient}, time.Now())
	_, err = c.Commit(t.Context(), outbox.Effects{Guard: books.Move{Change: declined}})
	require.NoError(t, err)
	_, result = accept("p", "4")
	require.Equal(t, outbox.Applied, result)
}

// Two processes, and many entries of one player in one commit: the cap is exact
// within a commit, and passed by no more than what another one held.
func TestTheCapHoldsAgainstManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	const openMax, batch = 10, 8
	committers := make([]*outbox.Committer, 2)
	for i := range committers {
		committers[i] = outbox.NewCommitter(outbox.CommitterConfig{DB: db, BatchMax: batch, Committers: 1, Log: slog.New(slog.DiscardHandler)})
		t.Cleanup(committers[i].Close)
	}
	var applied atomic.Int64
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			result, err := committers[i%2].Commit(t.Context(), outbox.Effects{Guard: books.Accept{Spend: newSpend("p", fmt.Sprint(i)), OpenMax: openMax}})
			if err != nil {
				t.Errorf("commit: %v", err)
			}
			if result == outbox.Applied {
				applied.Add(1)
			}
		})
	}
	group.Wait()
	require.GreaterOrEqual(t, applied.Load(), int64(openMax))
	require.LessOrEqual(t, applied.Load(), int64(openMax+batch))

	count := 0 // one commit at a time
	for i := range 3 * openMax {
		result, err := committers[0].Commit(t.Context(), outbox.Effects{Guard: books.Accept{Spend: newSpend("q", fmt.Sprint(i)), OpenMax: openMax}})
		require.NoError(t, err)
		if result == outbox.Applied {
			count++
		}
	}
	require.Equal(t, openMax, count)
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
	used, err := b.Used(t.Context(), "p", "extra_life")
	require.NoError(t, err)
	require.EqualValues(t, 10, used)
	used, err = b.Used(t.Context(), "p", "never_counted")
	require.NoError(t, err)
	require.Zero(t, used)
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
