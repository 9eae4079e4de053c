package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// The books after a storm: what the provider holds, what PostgreSQL holds and
// what the players hold are read independently, and must agree to the gem.

// spendRow is a spend as the database has it.
type spendRow struct {
	ID        string `db:"id"`
	AppUserID string `db:"app_user_id"`
	Key       string `db:"idempotency_key"`
	State     string `db:"state"`
	Item      string `db:"item"`
	Quantity  int64  `db:"quantity"`
	RawCost   []byte `db:"cost"`
	cost      economy.Amounts
}

// account is what the simulator knows of one customer.
type account struct {
	Balances     economy.Amounts `json:"balances"`
	Transactions []struct {
		Key         string          `json:"idempotency_key"`
		Adjustments economy.Amounts `json:"adjustments"`
	} `json:"transactions"`
}

func readSpends(t testing.TB, db *sqlx.DB) []spendRow {
	t.Helper()
	var rows []spendRow
	require.NoError(t, db.SelectContext(t.Context(), &rows,
		"SELECT id, app_user_id, idempotency_key, state, item, quantity, cost FROM spends ORDER BY seq"))
	for i := range rows {
		require.NoError(t, json.Unmarshal(rows[i].RawCost, &rows[i].cost))
	}
	return rows
}

// awaitRest returns when nothing is under way any more: every spend is final and
// no delivery is owed.
func awaitRest(t testing.TB, db *sqlx.DB, within time.Duration) {
	t.Helper()
	var left struct {
		Spends int64 `db:"spends"`
		Owed   int64 `db:"owed"`
	}
	started := time.Now()
	require.Eventually(t, func() bool {
		err := db.GetContext(t.Context(), &left, `SELECT
			(SELECT count(*) FROM spends WHERE state IN ('requested', 'charged', 'refunding')) AS spends,
			(SELECT count(*) FROM outbox) AS owed`)
		return err == nil && left.Spends == 0 && left.Owed == 0
	}, within, 5*tick, "not at rest: %+v", &left)
	t.Logf("at rest after %s", time.Since(started).Round(time.Millisecond))
}

// requireExact compares everything with everything for the players, who began
// with the balances in start, and returns the spends.
func (s *site) requireExact(t testing.TB, db *sqlx.DB, start map[string]economy.Amounts) []spendRow {
	t.Helper()
	spends := readSpends(t, db)
	requireLedger(t, db, spends)
	spent := map[string]economy.Amounts{} // by player: the cost of what was fulfilled
	held := map[string]map[string]int64{} // by player and item
	taken := map[string]economy.Amounts{} // by player: what was charged, by however many calls
	given := map[string]map[string]int{}  // by player: refunds, as text; each is a call of its own
	refund := func(player string, cost economy.Amounts) {
		if given[player] == nil {
			given[player] = map[string]int{}
		}
		given[player][cost.String()]++
	}
	for _, spend := range spends {
		switch economy.State(spend.State) {
		case economy.Fulfilled:
			spent[spend.AppUserID] = spent[spend.AppUserID].Plus(spend.cost)
			if held[spend.AppUserID] == nil {
				held[spend.AppUserID] = map[string]int64{}
			}
			held[spend.AppUserID][spend.Item] += spend.Quantity
			taken[spend.AppUserID] = taken[spend.AppUserID].Plus(spend.cost)
		case economy.Refunded:
			taken[spend.AppUserID] = taken[spend.AppUserID].Plus(spend.cost)
			refund(spend.AppUserID, spend.cost)
		case economy.Declined:
		default:
			assert.Fail(t, "a spend rests where it must not", "%s %s", spend.ID, spend.State)
		}
	}
	for player, balances := range start {
		var customer account
		s.control(http.MethodGet, "/customers/"+player, "", &customer)
		want := balances.Plus(spent[player].Negated())
		assert.True(t, customer.Balances.Equal(want), "%s holds %s, not %s", player, customer.Balances, want)

		keys, charged, refunded := map[string]bool{}, economy.Amounts{}, map[string]int{}
		for _, transaction := range customer.Transactions {
			assert.NotEmpty(t, transaction.Key)
			assert.False(t, keys[transaction.Key], "key %s was applied twice", transaction.Key)
			keys[transaction.Key] = true
			if strings.HasSuffix(transaction.Key, ":refund") {
				refunded[transaction.Adjustments.String()]++
			} else {
				charged = charged.Plus(transaction.Adjustments.Negated())
			}
		}
		if given[player] == nil {
			given[player] = map[string]int{}
		}
		assert.True(t, charged.Equal(taken[player]), "%s was charged %s, not %s", player, charged, taken[player])
		assert.Equal(t, given[player], refunded, "refunds of %s", player)
		if held[player] == nil {
			held[player] = map[string]int64{}
		}
		assert.Equal(t, held[player], s.inventory(t, player), "inventory of %s", player)
	}
	require.False(t, t.Failed(), "the books do not agree")
	return spends
}

// requireLedger checks the books within one snapshot of PostgreSQL: the lines of
// every spend are those of its state, and nothing is open, owed, marked or dead.
func requireLedger(t testing.TB, db *sqlx.DB, spends []spendRow) {
	t.Helper()
	var lines []struct {
		SpendID  string `db:"spend_id"`
		Player   string `db:"app_user_id"`
		Kind     string `db:"kind"`
		Currency string `db:"currency"`
		Amount   int64  `db:"amount"`
	}
	require.NoError(t, db.SelectContext(t.Context(), &lines, "SELECT spend_id, app_user_id, kind, currency, amount FROM ledger_entries"))
	got, want := map[string]int64{}, map[string]int64{}
	sums := map[string]int64{}
	for _, line := range lines {
		got[fmt.Sprintf("%s %s %s of %s", line.SpendID, line.Kind, line.Currency, line.Player)] = line.Amount
		sums[line.Kind] += line.Amount
	}
	kinds := map[economy.State][]string{economy.Fulfilled: {"charge", "fulfil"}, economy.Refunded: {"charge", "refund"}}
	for _, spend := range spends {
		for _, kind := range kinds[economy.State(spend.State)] {
			for currency, amount := range spend.cost {
				want[fmt.Sprintf("%s %s %s of %s", spend.ID, kind, currency, spend.AppUserID)] = int64(amount)
			}
		}
	}
	assert.Equal(t, want, got, "ledger lines")
	assert.Equal(t, sums["charge"], sums["fulfil"]+sums["refund"], "charged = fulfilled + refunded, nothing in flight")

	for what, query := range map[string]string{
		"open adjustments":     "SELECT count(*) FROM adjustments WHERE state = 'open'",
		"deliveries owed":      "SELECT count(*) FROM outbox",
		"dead letters":         "SELECT count(*) FROM dead_letters",
		"spends with a mark":   "SELECT count(*) FROM spends WHERE unknown_since IS NOT NULL OR needs_operator <> '' OR held",
		"grants without spend": "SELECT count(*) FROM inventory_grants g LEFT JOIN spends s ON s.id = g.spend_id AND s.state = 'fulfilled' WHERE s.id IS NULL",
		"fulfilled, not granted": `SELECT count(*) FROM spends s LEFT JOIN inventory_grants g ON g.spend_id = s.id
			LEFT JOIN catalog_versions c ON c.version = s.catalog_version
			WHERE s.state = 'fulfilled' AND g.spend_id IS NULL AND c.body->'items'->s.item->'hand_over'->>'port' IS DISTINCT FROM 'http'`,
	} {
		var count int64
		require.NoError(t, db.GetContext(t.Context(), &count, query))
		assert.Zero(t, count, what)
	}
}
