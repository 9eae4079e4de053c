package adjustments

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// Store reads turns from PostgreSQL.
type Store struct{ DB *sqlx.DB }

// adjustmentRow is an open adjustment as sqlx reads it; all null when there is none.
type adjustmentRow struct {
	ID             sql.NullString `db:"a_id"`
	Purpose        sql.NullString `db:"a_purpose"`
	SpendID        sql.NullString `db:"a_spend_id"`
	IdempotencyKey sql.NullString `db:"a_idempotency_key"`
	Body           sql.NullString `db:"a_body"`
	Deltas         []byte         `db:"a_deltas"`
	Attempts       sql.NullInt64  `db:"a_attempts"`
	LeasedBy       sql.NullString `db:"a_leased_by"`
	LeasedFor      sql.NullInt64  `db:"a_leased_for_ms"`
	OpenedAt       sql.NullTime   `db:"a_opened_at"`
	UnknownSince   sql.NullTime   `db:"a_unknown_since"`
	Known          []byte         `db:"known"` // the player's last known balances
}

const adjustmentColumns = `a.id AS a_id, a.purpose AS a_purpose, a.spend_id AS a_spend_id, a.idempotency_key AS a_idempotency_key,
	a.body AS a_body, a.deltas AS a_deltas, a.attempts AS a_attempts, a.leased_by AS a_leased_by, a.opened_at AS a_opened_at, a.unknown_since AS a_unknown_since,
	(extract(epoch FROM a.leased_until - now()) * 1000)::bigint AS a_leased_for_ms`

// turnQuery reads a turn in one round trip: the open adjustment beside the spends
// it concerns or, when none is open, those that wait. The three arms exclude
// each other and each has its index.
const turnQuery = `SELECT ` + adjustmentColumns + `, s.*,
	(SELECT jsonb_object_agg(currency, balance) FROM balances WHERE app_user_id = $1) AS known
FROM (SELECT 1) one
LEFT JOIN adjustments a ON a.app_user_id = $1 AND a.state = 'open'
LEFT JOIN LATERAL (
	(SELECT ` + books.SpendColumns + ` FROM spends
		WHERE a.id IS NULL AND app_user_id = $1 AND state = 'requested' AND adjustment_id IS NULL AND NOT held ORDER BY seq LIMIT $2)
	UNION ALL
	(SELECT ` + books.SpendColumns + ` FROM spends WHERE adjustment_id = a.id AND state = 'requested' ORDER BY seq)
	UNION ALL
	(SELECT ` + books.SpendColumns + ` FROM spends WHERE id = a.spend_id)
) s ON true`

// asideQuery reads the adjustment of a spend that stepped aside, beside the
// spends it concerns.
const asideQuery = `SELECT ` + adjustmentColumns + `, s.*, NULL AS known
FROM (SELECT * FROM adjustments WHERE id = $1 AND state = 'unknown'
	UNION ALL SELECT * FROM adjustments WHERE spend_id = $2 AND state = 'unknown' LIMIT 1) a
LEFT JOIN LATERAL (
	(SELECT ` + books.SpendColumns + ` FROM spends WHERE adjustment_id = a.id AND state = 'requested' ORDER BY seq)
	UNION ALL
	(SELECT ` + books.SpendColumns + ` FROM spends WHERE id = a.spend_id)
) s ON true`

// Aside returns the adjustment of a spend that stepped aside, or an empty turn.
func (s Store) Aside(ctx context.Context, spend economy.Spend) (Turn, error) {
	adjustmentID := sql.NullString{String: spend.AdjustmentID, Valid: spend.AdjustmentID != ""}
	return s.turn(ctx, spend.AppUserID, asideQuery, adjustmentID, spend.ID)
}

// Turn returns what there is to do for a player, with at most limit waiting spends.
func (s Store) Turn(ctx context.Context, appUserID string, limit int) (Turn, error) {
	return s.turn(ctx, appUserID, turnQuery, appUserID, limit)
}

func (s Store) turn(ctx context.Context, appUserID, query string, args ...any) (Turn, error) {
	rows, err := s.DB.QueryxContext(ctx, query, args...)
	if err != nil {
		return Turn{}, fmt.Errorf("read turn: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var turn Turn
	for rows.Next() {
		var row struct {
			adjustmentRow
			books.SpendRow
		}
		if err := rows.StructScan(&row); err != nil {
			return Turn{}, fmt.Errorf("read turn: %w", err)
		}
		if turn.Known == nil && row.Known != nil {
			if turn.Known, err = books.DecodeAmounts(row.Known); err != nil {
				return Turn{}, fmt.Errorf("read turn: balances: %w", err)
			}
		}
		if turn.Open == nil && row.adjustmentRow.ID.Valid {
			open, err := row.adjustmentRow.adjustment(appUserID)
			if err != nil {
				return Turn{}, err
			}
			turn.Open = &open
		}
		if !row.SpendRow.Missing() {
			spend, err := row.SpendRow.Spend()
			if err != nil {
				return Turn{}, err
			}
			if turn.Open != nil {
				turn.Spends = append(turn.Spends, spend)
			} else {
				turn.Waiting = append(turn.Waiting, spend)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return Turn{}, fmt.Errorf("read turn: %w", err)
	}
	return turn, nil
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
