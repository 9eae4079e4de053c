package bench

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// spend writes a spend that went its way, with all that belongs to it, and returns
// its id.
func spend(t *testing.T, db *sqlx.DB, player, state string) uuid.UUID {
	t.Helper()
	id, adjustment := uuid.New(), uuid.New()
	left := map[string]string{"fulfilled": "charged", "declined": "requested", "refunded": "refunding", "charged": "requested"}[state]
	run(t, db, `INSERT INTO adjustments (id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
		VALUES ($1::uuid, now(), now(), now(), $1::uuid, $2, 'charge', 'applied', $1::uuid || ':charge', '{}', '', '{"GEM":-50}')`, adjustment, player)
	run(t, db, `INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost)
		VALUES ($1::uuid, 2, 1, now(), CASE WHEN $4 <> 'charged' THEN now() END, $2, $1::uuid, $3, $1::uuid::text, 'extra_life', $4, $5, '{"GEM":50,"GOLD":3}')`, id, adjustment, player, state, left)
	lines := map[string][][3]string{
		"fulfilled": {{"charge", "wallet", "in_flight"}, {"fulfil", "in_flight", "sink"}},
		"refunded":  {{"charge", "wallet", "in_flight"}, {"refund", "in_flight", "wallet"}},
		"charged":   {{"charge", "wallet", "in_flight"}},
	}
	for _, line := range lines[state] {
		run(t, db, `INSERT INTO ledger_entries (spend_id, amount, entered_at, app_user_id, kind, currency, debit, credit)
			SELECT $1::uuid, amount, now(), $2::text, $3::text, currency, $4::text, $5::text FROM (VALUES (50, 'GEM'), (3, 'GOLD')) v(amount, currency)`, id, player, line[0], line[1], line[2])
	}
	if state == "fulfilled" {
		run(t, db, "INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) VALUES ($1, 2, now(), $2, 'extra_life')", id, player)
	}
	return id
}

func run(t *testing.T, db *sqlx.DB, query string, args ...any) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), query, args...)
	require.NoError(t, err, query)
}

// right returns books that are right: two players of ours, and one of somebody else
// whose spend is still under way.
func right(t *testing.T, db *sqlx.DB) books {
	t.Helper()
	b := books{db: db, players: "bench-", told: 4, start: economy.Amounts{"GEM": 1000, "GOLD": 100}, provider: &providerStats{}}
	for player, states := range map[string][]string{"bench-1": {"fulfilled", "refunded", "declined"}, "bench-2": {"fulfilled"}} {
		for _, state := range states {
			b.accepted = append(b.accepted, answered{spend(t, db, player, state), player})
		}
	}
	spend(t, db, "somebody", "charged")
	b.provider.Sums = map[string]sums{
		"bench-1": {economy.Amounts{"GEM": 950, "GOLD": 97}, economy.Amounts{"GEM": -50, "GOLD": -3}},
		"bench-2": {economy.Amounts{"GEM": 950, "GOLD": 97}, economy.Amounts{"GEM": -50, "GOLD": -3}},
		"other":   {economy.Amounts{"GEM": 1}, economy.Amounts{}},
	}
	return b
}

// byTheGame stores a catalogue whose item the game's own server hands over.
const byTheGame = `INSERT INTO catalog_versions (version, fingerprint, body) OVERRIDING SYSTEM VALUE
	VALUES (9, 'f', '{"items":{"extra_life":{"hand_over":{"port":"http","endpoint":"game"}}}}'); `

// TestTheBooksAreVerified: whatever is wrong in one place is found, and named.
func TestTheBooksAreVerified(t *testing.T) {
	t.Parallel()
	ours := " WHERE app_user_id = 'bench-2'"
	for _, test := range []struct {
		name, sql string
		change    func(*books)
		says      string // "": nothing is wrong
	}{
		{name: "nothing"},
		{name: "unanswered requests may have made spends", change: func(b *books) { b.told, b.unknown = 2, 2 }},
		{name: "a spend is lost", sql: "DELETE FROM spends" + ours, says: "is there, its player's, and final: 1 times"},
		{name: "a spend is somebody else's", change: func(b *books) { b.accepted[0].player = "bench-9" }, says: "accepted "},
		{name: "a spend too many", change: func(b *books) { b.told = 3 }, says: "as many spends as answers named"},
		{name: "a spend too few", change: func(b *books) { b.told, b.unknown = 6, 1 }, says: "as many spends as answers named"},
		{name: "a spend is not final", sql: "UPDATE spends SET state = 'charged', left_state = 'requested', finished_at = NULL" + ours, says: "spends are final"},
		{name: "a delivery is owed", sql: `INSERT INTO outbox (event_id, consumer, lane, subject, payload) VALUES ('e', 'adjust', 'live', 's', '{"subject":"bench-1"}')`, says: "the outbox owes nothing"},
		{name: "a call is open", sql: "UPDATE adjustments SET state = 'open', settled_at = NULL" + ours, says: "no call's outcome is open"},
		{name: "a person is needed", sql: "UPDATE spends SET needs_operator = 'why'" + ours, says: "nothing needs a person"},
		{name: "a line is missing", sql: "DELETE FROM ledger_entries" + ours + " AND kind = 'fulfil' AND currency = 'GEM'", says: "lacks fulfil 50 GEM"},
		{name: "an amount is wrong", sql: "UPDATE ledger_entries SET amount = 51" + ours + " AND kind = 'charge' AND currency = 'GEM'", says: "has charge 51 GEM"},
		{name: "the sums differ", sql: "UPDATE ledger_entries SET amount = 51" + ours + " AND kind = 'charge' AND currency = 'GEM'", says: "charged 51, fulfilled 50, refunded 0"},
		{name: "an item too many", sql: "UPDATE inventory_grants SET quantity = 3" + ours, says: "bench-2 holds 3 extra_life, bought 2"},
		{name: "an item was not handed over", sql: "DELETE FROM inventory_grants" + ours, says: "bench-2 holds 0 extra_life, bought 2"},
		{name: "an item of the game's server lies there", sql: "DELETE FROM inventory_grants" + ours + "; " + byTheGame + "UPDATE spends SET catalog_version = 9" + ours},
		{name: "an item of the game's server lies here", sql: byTheGame + "UPDATE spends SET catalog_version = 9" + ours, says: "bench-2 holds 2 extra_life, bought 0"},
		{name: "an item was revoked", sql: "UPDATE inventory_grants SET revoked_at = now()" + ours, says: "bench-2 holds 0 extra_life"},
		{name: "the provider took twice", change: func(b *books) { b.provider.Sums["bench-2"].Balances["GEM"] -= 50 }, says: "bench-2 holds 900 GEM"},
		{name: "the provider's calls do not add up", change: func(b *books) { b.provider.Sums["bench-2"].Adjusted["GEM"] -= 50 }, says: "bench-2 was charged"},
		{name: "the provider forgot a player", change: func(b *books) { delete(b.provider.Sums, "bench-1") }, says: "bench-1 is not there"},
		{name: "alone, another's delivery counts", change: func(b *books) { b.alone = true }, sql: `INSERT INTO outbox (event_id, consumer, lane, subject, payload) VALUES ('e', 'adjust', 'live', 's', '{"subject":"x"}')`, says: "the outbox is empty"},
		{name: "alone, dead letters count", change: func(b *books) { b.alone = true }, sql: `INSERT INTO dead_letters (attempts, event_id, consumer, lane, subject, error, payload) VALUES (1, 'e', 'adjust', 'live', 's', 'x', '')`, says: "no dead letters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := testenv.Postgres(t)
			b := right(t, db)
			run(t, db, "ALTER TABLE ledger_entries DISABLE TRIGGER USER")
			if test.sql != "" {
				run(t, db, test.sql)
			}
			if test.change != nil {
				test.change(&b)
			}
			checked, wrong, err := b.verify(t.Context())
			require.NoError(t, err)
			require.NotEmpty(t, checked)
			if test.says == "" {
				require.Empty(t, wrong)
				return
			}
			require.Contains(t, strings.Join(wrong, "\n"), test.says)
			require.Error(t, Report{Wrong: wrong}.Err())
		})
	}
}

func TestRestIsNothingOpenAndNothingOwed(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	rest := func() bool {
		done, err := atRest(t.Context(), db, "bench-")
		require.NoError(t, err)
		return done
	}
	spend(t, db, "somebody", "charged")
	require.True(t, rest(), "it is somebody else's")
	id := spend(t, db, "bench-1", "charged")
	require.False(t, rest())
	run(t, db, "UPDATE spends SET state = 'fulfilled', left_state = 'charged', finished_at = now() WHERE id = $1", id)
	require.True(t, rest())
	run(t, db, `INSERT INTO outbox (event_id, consumer, lane, subject, payload) VALUES ('e', 'adjust', 'live', 's', '{"subject":"bench-1"}')`)
	require.False(t, rest())

	mark, err := openMark(t.Context(), db)
	require.NoError(t, err)
	later := spend(t, db, "bench-1", "declined")
	var seen []uuid.UUID
	require.NoError(t, eachSince(t.Context(), db, mark, func(one times) { seen = append(seen, one.ID) }))
	require.Equal(t, []uuid.UUID{later}, seen)
}

func TestATransactionIsHeldOpenUntilItIsReleased(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	held := func() (n int) {
		require.NoError(t, db.GetContext(t.Context(), &n, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction' AND backend_xmin IS NOT NULL"))
		return n
	}
	b := Bench{Config: Config{Site: &Site{DB: db}, Hold: true}}
	release, err := b.hold(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, held())
	require.NoError(t, release())
	require.Zero(t, held())

	ctx, cancel := context.WithCancel(t.Context())
	release, err = b.hold(ctx)
	require.NoError(t, err)
	cancel()
	require.Error(t, release(), "a transaction that was cut did not hold")
}
