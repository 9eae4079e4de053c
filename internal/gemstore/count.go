package gemstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// holding is what the simulator knows of a customer.
type holding struct {
	Balances economy.Amounts `json:"balances"`
	Adjusted economy.Amounts `json:"adjusted"`
}

func (h holding) equal(o holding) bool {
	return h.Balances.Equal(o.Balances) && h.Adjusted.Equal(o.Adjusted)
}

// holdings returns what every player of the store holds at the provider.
func (s *Store) holdings(ctx context.Context) (map[string]holding, error) {
	var stats struct {
		Sums map[string]holding `json:"sums"`
	}
	if err := s.simulator.call(ctx, "GET", "/control/stats?customers=1", nil, &stats); err != nil {
		return nil, err
	}
	maps.DeleteFunc(stats.Sums, func(player string, _ holding) bool { return !strings.HasPrefix(player, PlayerPrefix) })
	return stats.Sums, nil
}

// countTries is how often a count begins again because a balance moved meanwhile.
const countTries = 5

// count adds up the books of all players of the store: the provider's balances and
// one snapshot of the database. A snapshot between two equal readings belongs to
// them; while players spend, those are waited for. ok is false when they moved
// every time: nothing can be said then.
func (s *Store) count(ctx context.Context) (sums []Sums, players int, ok bool, err error) {
	before, err := s.holdings(ctx)
	if err != nil {
		return nil, 0, false, err
	}
	for range countTries {
		ours, err := readAccounts(ctx, s.db, slices.Collect(maps.Keys(before)))
		if err != nil {
			return nil, 0, false, err
		}
		after, err := s.holdings(ctx)
		if err != nil {
			return nil, 0, false, err
		}
		if maps.EqualFunc(before, after, holding.equal) {
			return sumAll(together(after, ours)), len(after), true, nil
		}
		before = after
	}
	return nil, len(before), false, nil
}

// owner is whose account it is.
type owner struct {
	player   string
	currency economy.Currency
}

// together joins what the provider holds with what we have written down.
func together(provider map[string]holding, ours map[owner]account) map[economy.Currency][]account {
	for player, h := range provider {
		for _, amounts := range []economy.Amounts{h.Balances, h.Adjusted} {
			for currency := range amounts {
				key := owner{player, currency}
				a := ours[key]
				a.balance, a.adjusted = h.Balances[currency], h.Adjusted[currency]
				ours[key] = a
			}
		}
	}
	out := map[economy.Currency][]account{}
	for key, a := range ours {
		out[key.currency] = append(out[key.currency], a)
	}
	return out
}

// readAccounts reads our half of the players' accounts, in one snapshot.
func readAccounts(ctx context.Context, db *sqlx.DB, players []string) (map[owner]account, error) {
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("count the books: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	var lines []struct {
		Player   string           `db:"app_user_id"`
		Currency economy.Currency `db:"currency"`
		What     string           `db:"what"`
		Amount   economy.Amount   `db:"amount"`
	}
	err = tx.SelectContext(ctx, &lines, `
		SELECT s.app_user_id, l.currency, l.kind AS what, sum(l.amount)::bigint AS amount
			FROM spends s JOIN ledger_entries l ON l.spend_id = s.id WHERE s.app_user_id = ANY($1) GROUP BY 1, 2, 3
		UNION ALL SELECT s.app_user_id, c.key, 'in_flight', sum(c.value::bigint)::bigint
			FROM spends s, jsonb_each_text(s.cost) c WHERE s.app_user_id = ANY($1) AND s.state IN ('charged', 'refunding') GROUP BY 1, 2
		UNION ALL SELECT app_user_id, currency, 'told', sum(CASE WHEN credit = 'wallet' THEN amount ELSE -amount END)::bigint
			FROM provider_movements WHERE app_user_id = ANY($1) AND kind <> 'own_seen' GROUP BY 1, 2
		UNION ALL SELECT app_user_id, currency, 'corrected', sum(CASE WHEN credit = 'wallet' THEN amount ELSE -amount END)::bigint
			FROM ledger_corrections WHERE app_user_id = ANY($1) GROUP BY 1, 2
		UNION ALL SELECT a.app_user_id, d.key, CASE a.purpose WHEN 'grant' THEN 'asked_grant' ELSE 'asked' END, d.value::bigint
			FROM adjustments a, jsonb_each_text(a.deltas) d WHERE a.app_user_id = ANY($1) AND a.settled_at IS NULL`, postgres.Array(players))
	if err != nil {
		return nil, fmt.Errorf("count the books: %w", err)
	}
	out := map[owner]account{}
	for _, line := range lines {
		key := owner{line.Player, line.Currency}
		a := out[key]
		switch line.What {
		case "charge":
			a.charged += line.Amount
		case "fulfil", "keep":
			a.fulfilled += line.Amount
		case "reclaim":
			a.fulfilled -= line.Amount
		case "refund":
			a.refunded += line.Amount
		case "grant":
			a.granted += line.Amount
		case "in_flight":
			a.inFlight += line.Amount
		case "told":
			a.told += line.Amount
		case "corrected":
			a.corrected += line.Amount
		default:
			a.asked = append(a.asked, asked{line.Amount, line.What == "asked_grant"})
		}
		out[key] = a
	}
	return out, nil
}
