package bench

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// answered is a spend that the API said was accepted, and to whom.
type answered struct {
	id     uuid.UUID
	player string
}

// books is what must be right at the end.
type books struct {
	db       *sqlx.DB
	players  string     // what their names begin with
	accepted []answered // by 2xx answers
	told     int64      // spends that any answer named, such as a 402
	unknown  int64      // requests without an answer: their spends may exist
	alone    bool       // nobody else uses the site
	start    economy.Amounts
	provider *providerStats // of the simulator; nil: it cannot be asked
}

// check is a question to the database whose answer is right when it is no row. $1 is what
// the players' names begin with; a row is one text that says what is wrong.
type check struct{ what, query string }

// linesOf is what the ledger must hold: the lines of every spend's state.
const linesOf = `
	SELECT s.id, s.app_user_id, line.kind, cost.key AS currency, cost.value::bigint AS amount
	FROM spends s, jsonb_each_text(s.cost) cost, LATERAL (SELECT unnest(CASE
		WHEN s.kind = 'grant' AND s.state = 'fulfilled' THEN '{grant}'::text[]
		WHEN s.kind = 'grant' THEN '{}'
		WHEN s.state = 'charged' OR s.state = 'refunding' THEN '{charge}'
		WHEN s.state = 'fulfilled' THEN '{charge,fulfil}'
		WHEN s.state = 'refunded' THEN '{charge,refund}'
		ELSE '{}' END) AS kind) line
	WHERE starts_with(s.app_user_id, $1)`

var checks = []check{
	{"spends are final", `SELECT 'spend ' || id || ' is ' || state FROM spends
		WHERE starts_with(app_user_id, $1) AND state NOT IN ('fulfilled', 'declined', 'refunded')`},
	{"the outbox owes nothing", `SELECT event_id || ' is owed to ' || consumer FROM outbox WHERE starts_with(payload->>'subject', $1)`},
	{"no call's outcome is open", `SELECT 'adjustment ' || id || ' is ' || state FROM adjustments
		WHERE starts_with(app_user_id, $1) AND state IN ('open', 'unknown')`},
	{"nothing needs a person", `SELECT 'spend ' || id || ' is marked' FROM spends
		WHERE starts_with(app_user_id, $1) AND (unknown_since IS NOT NULL OR needs_operator <> '' OR held)`},
	{"the ledger has the lines of every spend's state, and no more", `WITH want AS (` + linesOf + `), have AS (
		SELECT spend_id, app_user_id, kind, currency, amount FROM ledger_entries WHERE starts_with(app_user_id, $1))
		SELECT 'spend ' || id || ' lacks ' || kind || ' ' || amount || ' ' || currency FROM (TABLE want EXCEPT TABLE have) w
		UNION ALL
		SELECT 'spend ' || spend_id || ' has ' || kind || ' ' || amount || ' ' || currency FROM (TABLE have EXCEPT TABLE want) h`},
	{"charged = fulfilled + refunded, per player and currency", `SELECT format('%s %s: charged %s, fulfilled %s, refunded %s', app_user_id, currency, charged, fulfilled, refunded)
		FROM (SELECT app_user_id, currency,
			coalesce(sum(amount) FILTER (WHERE kind = 'charge'), 0) AS charged,
			coalesce(sum(amount) FILTER (WHERE kind IN ('fulfil', 'keep')), 0) - coalesce(sum(amount) FILTER (WHERE kind = 'reclaim'), 0) AS fulfilled,
			coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) AS refunded
			FROM ledger_entries WHERE starts_with(app_user_id, $1) GROUP BY app_user_id, currency) sums
		WHERE charged <> fulfilled + refunded`},
	// Items of other ports lie elsewhere.
	{"players hold what was fulfilled", `SELECT format('%s holds %s %s, bought %s', app_user_id, coalesce(held, 0), item, coalesce(bought, 0)) FROM
		(SELECT app_user_id, item, sum(quantity) AS bought FROM spends s
			WHERE starts_with(app_user_id, $1) AND kind = 'spend' AND state = 'fulfilled' AND NOT EXISTS (SELECT FROM catalog_versions c
				WHERE c.version = s.catalog_version AND c.body -> 'items' -> s.item -> 'hand_over' ->> 'port' <> 'inventory') GROUP BY 1, 2) b
		FULL JOIN (SELECT app_user_id, item, sum(quantity) AS held FROM inventory_grants
			WHERE starts_with(app_user_id, $1) AND revoked_at IS NULL GROUP BY 1, 2) h USING (app_user_id, item)
		WHERE bought IS DISTINCT FROM held`},
}

// checksAlone are right when nobody else uses the site.
var checksAlone = []check{
	{"the outbox is empty", "SELECT event_id || ' is owed to ' || consumer FROM outbox WHERE $1 <> ''"},
	{"there are no dead letters", "SELECT event_id || ': ' || error FROM dead_letters WHERE $1 <> ''"},
}

// examplesMax is how many rows of a failed check are shown.
const examplesMax = 3

// look is a check that needs more than the players' names.
type look struct {
	what string
	rows func(context.Context, *sqlx.Tx) ([]string, error)
}

// verify returns what was checked, and for every check that failed a line that says
// what is wrong. The database is read in one snapshot.
func (b books) verify(ctx context.Context) (checked, wrong []string, err error) {
	tx, err := b.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	wrong = []string{}
	for _, one := range b.looks() {
		rows, err := one.rows(ctx, tx)
		if err != nil {
			return nil, nil, fmt.Errorf("verify that %s: %w", one.what, err)
		}
		checked = append(checked, one.what)
		if len(rows) > 0 {
			more := ""
			if len(rows) > examplesMax {
				more = "; ..."
			}
			wrong = append(wrong, fmt.Sprintf("NOT SO: %s: %d times: %s%s", one.what, len(rows), strings.Join(rows[:min(len(rows), examplesMax)], "; "), more))
		}
	}
	return checked, wrong, nil
}

func (b books) looks() []look {
	list := []look{
		{fmt.Sprintf("every one of %d accepted spends is there, its player's, and final", len(b.accepted)), b.acceptedAreThere},
		{"there are as many spends as answers named", b.nothingElseIsThere},
	}
	queries := checks
	if b.alone {
		queries = append(slices.Clone(checks), checksAlone...)
	}
	for _, c := range queries {
		list = append(list, look{c.what, func(ctx context.Context, tx *sqlx.Tx) (rows []string, err error) {
			err = tx.SelectContext(ctx, &rows, c.query, b.players)
			return rows, err
		}})
	}
	if b.provider != nil {
		list = append(list, look{"the provider's balances are those of the ledger", b.providerAgrees})
	}
	return list
}

// acceptedAreThere: every spend the API promised is its player's, and final.
func (b books) acceptedAreThere(ctx context.Context, tx *sqlx.Tx) ([]string, error) {
	var wrong []string
	for chunk := range slices.Chunk(b.accepted, 10_000) {
		ids, players := make([]string, len(chunk)), make([]string, len(chunk))
		for i, one := range chunk {
			ids[i], players[i] = one.id.String(), one.player
		}
		var rows []string
		if err := tx.SelectContext(ctx, &rows, `SELECT format('accepted %s of %s: %s', a.id, a.player, coalesce(s.state || ' of ' || s.app_user_id, 'is not there'))
			FROM unnest($1::uuid[], $2::text[]) AS a(id, player) LEFT JOIN spends s ON s.id = a.id
			WHERE s.state IS NULL OR s.app_user_id <> a.player OR s.state NOT IN ('fulfilled', 'declined', 'refunded')`,
			postgres.Array(ids), postgres.Array(players)); err != nil {
			return nil, err
		}
		wrong = append(wrong, rows...)
	}
	return wrong, nil
}

// nothingElseIsThere: no request made two spends, and none that was refused made one.
func (b books) nothingElseIsThere(ctx context.Context, tx *sqlx.Tx) ([]string, error) {
	var rows int64
	if err := tx.GetContext(ctx, &rows, "SELECT count(*) FROM spends WHERE starts_with(app_user_id, $1) AND kind = 'spend'", b.players); err != nil {
		return nil, err
	}
	if rows >= b.told && rows <= b.told+b.unknown {
		return nil, nil
	}
	return []string{fmt.Sprintf("%d spends, %d named by answers, %d requests without an answer", rows, b.told, b.unknown)}, nil
}

// providerAgrees: the provider holds what each player began with, less what was
// charged, plus what was given back.
func (b books) providerAgrees(ctx context.Context, tx *sqlx.Tx) ([]string, error) {
	var moved []struct {
		Player   string           `db:"app_user_id"`
		Currency economy.Currency `db:"currency"`
		Amount   economy.Amount   `db:"amount"`
	}
	if err := tx.SelectContext(ctx, &moved, `SELECT app_user_id, currency,
		sum(CASE WHEN credit = 'wallet' THEN amount WHEN debit = 'wallet' THEN -amount ELSE 0 END)::bigint AS amount
		FROM ledger_entries WHERE starts_with(app_user_id, $1) GROUP BY app_user_id, currency`, b.players); err != nil {
		return nil, err
	}
	changes := map[string]economy.Amounts{}
	for _, m := range moved {
		changes[m.Player] = changes[m.Player].Plus(economy.Amounts{m.Currency: m.Amount})
	}
	var wrong []string
	for player, sums := range b.provider.Sums {
		if !strings.HasPrefix(player, b.players) {
			continue
		}
		if want := b.start.Plus(changes[player]); !sums.Balances.Equal(want) {
			wrong = append(wrong, fmt.Sprintf("%s holds %s, not %s", player, sums.Balances, want))
		}
		if !sums.Adjusted.Equal(changes[player]) {
			wrong = append(wrong, fmt.Sprintf("%s was charged %s, not %s", player, sums.Adjusted, changes[player]))
		}
		delete(changes, player)
	}
	for player := range changes {
		wrong = append(wrong, player+" is not there")
	}
	slices.Sort(wrong)
	return wrong, nil
}
