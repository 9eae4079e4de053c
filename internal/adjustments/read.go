package adjustments

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/gather"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Store reads turns from PostgreSQL.
type Store struct{ DB *sqlx.DB }

// adjustmentRow is an open adjustment as it is read; all null when there is none.
type adjustmentRow struct {
	ID             sql.NullString
	Purpose        sql.NullString
	SpendID        sql.NullString
	IdempotencyKey sql.NullString
	Body           sql.NullString
	Deltas         []byte
	Attempts       sql.NullInt64
	LeasedBy       sql.NullString
	LeasedFor      sql.NullInt64
	OpenedAt       sql.NullTime
	UnknownSince   sql.NullTime
	Known          []byte // the player's last known balances
}

const adjustmentColumns = `a.id, a.purpose, a.spend_id, a.idempotency_key, a.body, a.deltas, a.attempts, a.leased_by, a.opened_at, a.unknown_since,
	(extract(epoch FROM a.leased_until - now()) * 1000)::bigint`

// lastOf reads a player's newest adjustment, the only one that may be open.
func lastOf(player string) string {
	return "SELECT * FROM adjustments WHERE app_user_id = " + player + " ORDER BY nth DESC LIMIT 1"
}

// turnsQuery reads the turns of players, each with at most so many waiting spends, in
// one round trip: the open adjustment beside the spends it concerns or, when none is
// open, those that wait. The three arms exclude each other and each has its index.
var turnsQuery = `SELECT p.app_user_id, ` + adjustmentColumns + `,
	(SELECT jsonb_object_agg(currency, balance) FROM balances b WHERE b.app_user_id = p.app_user_id), s.*
FROM unnest($1::text[], $2::int[]) p (app_user_id, waiting)
LEFT JOIN LATERAL (SELECT * FROM (` + lastOf("p.app_user_id") + `) last WHERE state = 'open') a ON true
LEFT JOIN LATERAL (
	(SELECT ` + books.SpendColumns + ` FROM spends
		WHERE a.id IS NULL AND app_user_id = p.app_user_id AND finished_at IS NULL AND state = 'requested' AND adjustment_id IS NULL AND NOT held ORDER BY seq LIMIT p.waiting)
	UNION ALL
	(SELECT ` + books.SpendColumns + ` FROM spends
		WHERE app_user_id = a.app_user_id AND finished_at IS NULL AND adjustment_id = a.id AND state = 'requested' ORDER BY seq)
	UNION ALL
	(SELECT ` + books.SpendColumns + ` FROM spends WHERE id = a.spend_id)
) s ON true`

// waitingQuery reads what waits of players, each from a place of its line on, and at most
// so many.
const waitingQuery = `SELECT s.*
FROM unnest($1::text[], $2::bigint[], $3::int[]) p (app_user_id, place, waiting)
CROSS JOIN LATERAL (
	SELECT seq, ` + books.SpendColumns + ` FROM spends
	WHERE app_user_id = p.app_user_id AND finished_at IS NULL AND seq >= p.place AND state = 'requested' AND adjustment_id IS NULL AND NOT held
	ORDER BY seq LIMIT p.waiting
) s`

// asideQuery reads the adjustment of a spend that stepped aside, beside the
// spends it concerns.
const asideQuery = `SELECT a.app_user_id, ` + adjustmentColumns + `, NULL, s.*
FROM (SELECT * FROM adjustments WHERE id = $1 AND state = 'unknown'
	UNION ALL SELECT * FROM adjustments WHERE spend_id = $2 AND state = 'unknown' LIMIT 1) a
LEFT JOIN LATERAL (
	(SELECT ` + books.SpendColumns + ` FROM spends
		WHERE app_user_id = a.app_user_id AND finished_at IS NULL AND adjustment_id = a.id AND state = 'requested' ORDER BY seq)
	UNION ALL
	(SELECT ` + books.SpendColumns + ` FROM spends WHERE id = a.spend_id)
) s ON true`

// Aside returns the adjustment of a spend that stepped aside, or an empty turn.
func (s Store) Aside(ctx context.Context, spend economy.Spend) (Turn, error) {
	adjustmentID := sql.NullString{String: spend.AdjustmentID, Valid: spend.AdjustmentID != ""}
	return only(s.turns(s.DB.QueryxContext(ctx, asideQuery, adjustmentID, spend.ID)))
}

// Turn returns what there is to do for a player, with at most limit waiting spends.
func (s Store) Turn(ctx context.Context, appUserID string, limit int) (Turn, error) {
	return only(s.turns(s.DB.QueryxContext(ctx, turnsQuery, postgres.Array([]string{appUserID}), postgres.Array([]int{limit}))))
}

// Waiting returns the turn of a player of whom nothing is open; see Turns.
func (s Store) Waiting(ctx context.Context, appUserID string, from int64, limit int) (Turn, error) {
	return only(s.waiting(s.DB.QueryxContext(ctx, waitingQuery,
		postgres.Array([]string{appUserID}), postgres.Array([]int64{from}), postgres.Array([]int{limit}))))
}

// waiting reads what waitingQuery answered, by player.
func (Store) waiting(rows *sqlx.Rows, err error) (map[string]gather.Answer[Turn], error) {
	if err != nil {
		return nil, fmt.Errorf("read turn: %w", err)
	}
	defer func() { _ = rows.Close() }()
	turns := map[string]gather.Answer[Turn]{}
	var place int64
	var s books.SpendRow
	columns := append([]any{&place}, s.Columns()...)
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return nil, fmt.Errorf("read turn: %w", err)
		}
		answer := turns[s.AppUserID.String]
		if answer.Value.Place == 0 {
			answer.Value.Place = place
		}
		if spend, err := s.Spend(); err != nil {
			answer.Err = err
		} else {
			answer.Value.Waiting = append(answer.Value.Waiting, spend)
		}
		turns[s.AppUserID.String] = answer
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read turn: %w", err)
	}
	return turns, nil
}

// only returns the one turn of turns, or an empty one.
func only(turns map[string]gather.Answer[Turn], err error) (Turn, error) {
	if err != nil {
		return Turn{}, err
	}
	for _, turn := range turns {
		return turn.Value, turn.Err
	}
	return Turn{}, nil
}

// turns reads what turnsQuery or asideQuery answered, by player. A row that cannot be
// understood is its player's trouble alone.
func (Store) turns(rows *sqlx.Rows, err error) (map[string]gather.Answer[Turn], error) {
	if err != nil {
		return nil, fmt.Errorf("read turn: %w", err)
	}
	defer func() { _ = rows.Close() }()
	turns := map[string]gather.Answer[Turn]{}
	for rows.Next() {
		var player string
		var a adjustmentRow
		var s books.SpendRow
		if err := rows.Scan(append([]any{&player}, append(a.columns(), s.Columns()...)...)...); err != nil {
			return nil, fmt.Errorf("read turn: %w", err)
		}
		answer := turns[player]
		if answer.Err == nil {
			answer.Err = answer.Value.add(player, a, s)
		}
		turns[player] = answer
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read turn: %w", err)
	}
	return turns, nil
}

// add adds a row to the turn.
func (t *Turn) add(player string, a adjustmentRow, s books.SpendRow) error {
	if t.Known == nil && a.Known != nil {
		known, err := books.DecodeAmounts(a.Known)
		if err != nil {
			return fmt.Errorf("read turn: balances: %w", err)
		}
		t.Known = known
	}
	if t.Open == nil && a.ID.Valid {
		open, err := a.adjustment(player)
		if err != nil {
			return err
		}
		t.Open = &open
	}
	if s.Missing() {
		return nil
	}
	spend, err := s.Spend()
	if err != nil {
		return err
	}
	if t.Open != nil {
		t.Spends = append(t.Spends, spend)
	} else {
		t.Waiting = append(t.Waiting, spend)
	}
	return nil
}

// columns are where a row with adjustmentColumns, and the balances, goes.
func (r *adjustmentRow) columns() []any {
	return []any{
		&r.ID, &r.Purpose, &r.SpendID, &r.IdempotencyKey, &r.Body, &r.Deltas, &r.Attempts, &r.LeasedBy, &r.OpenedAt, &r.UnknownSince,
		&r.LeasedFor, &r.Known,
	}
}

func (r adjustmentRow) adjustment(appUserID string) (Adjustment, error) {
	deltas, err := books.DecodeAmounts(r.Deltas)
	if err != nil {
		return Adjustment{}, fmt.Errorf("adjustment %s: deltas: %w", r.ID.String, err)
	}
	return Adjustment{
		ID: r.ID.String, AppUserID: appUserID, Purpose: Purpose(r.Purpose.String), SpendID: r.SpendID.String,
		IdempotencyKey: r.IdempotencyKey.String, Body: r.Body.String, Deltas: deltas, Attempts: r.Attempts.Int64,
		LeasedBy: r.LeasedBy.String, LeasedFor: time.Duration(r.LeasedFor.Int64) * time.Millisecond, OpenedAt: r.OpenedAt.Time, UnknownSince: r.UnknownSince.Time,
	}, nil
}
