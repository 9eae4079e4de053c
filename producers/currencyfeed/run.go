package currencyfeed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Settler settles a call of unknown outcome with the evidence of the feed, as of the
// attempt that was the latest; adjustments.Decide does.
type Settler interface {
	Settle(ctx context.Context, spendID string, attempt int64, applied bool, evidence string) error
}

// Config is what a comparison runs by.
type Config struct {
	DB      *sqlx.DB
	Settler Settler
	// Margin is how much older than the newest row of the feed a change must be to be
	// missed in it: the provider may book late. 0: MarginDefault.
	Margin time.Duration
	DryRun bool // settle and record nothing
	Record bool // write what the provider moved by itself, and nobody told us, into our ledger
	// Rejected hears of every row that cannot be read; nil: nobody does.
	Rejected func(error)
	// Missed hears of every change that is nobody's; nil: nobody does.
	Missed func(Change) error
	// Again is the wait before a call that is being asked about is tried once more.
	Again time.Duration
}

const (
	// MarginDefault is an hour: calls are booked at once as far as one can see, and the
	// provider documents nothing. It also covers what clocks differ by.
	MarginDefault = time.Hour
	// againDefault and triesMax: a worker that asks the provider about the same call
	// has it for ten seconds.
	againDefault = 3 * time.Second
	triesMax     = 5
)

// Run reads one snapshot of the feed, whole, and compares it with our ledger. A second
// run of the same snapshot changes nothing.
//
// Errors: *exports.FileError when the snapshot cannot be read to its end, then nothing
// was settled; those of the database.
func Run(ctx context.Context, c Config, files []exports.File) (Report, error) {
	if c.Margin == 0 {
		c.Margin = MarginDefault
	}
	if c.Again == 0 {
		c.Again = againDefault
	}
	if c.Rejected == nil {
		c.Rejected = func(error) {}
	}
	r := Report{DryRun: c.DryRun, Settled: []Settlement{}, Unsettled: []Settlement{}, Differs: []Change{}, Lacks: []Change{}, Movements: []Change{}}
	files, r.LeftOut = Newest(files)
	conn, err := c.DB.Connx(ctx)
	if err != nil {
		return r, fmt.Errorf("currency feed: %w", err)
	}
	defer postgres.Discard(conn) // and with it the settings and the tables
	if _, err := conn.ExecContext(ctx, "SET statement_timeout = '10min'; SET work_mem = '64MB'; BEGIN; "+stage); err != nil {
		return r, fmt.Errorf("currency feed: %w", err)
	}
	if err := read(ctx, conn, files, &r, c.Rejected); err != nil {
		return r, err
	}
	if _, err := conn.ExecContext(ctx, staged); err != nil {
		return r, fmt.Errorf("currency feed: %w", err)
	}
	if r.Rows == 0 {
		return r, errors.New("the currency feed has no row that can be read: it proves nothing")
	}
	for _, step := range []func(context.Context, *sqlx.Conn, *Report) error{c.window, c.ours, c.settle, c.nobodys, c.record} {
		if err := step(ctx, conn, &r); err != nil {
			return r, fmt.Errorf("currency feed: %w", err)
		}
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return r, err
}

func (Config) window(ctx context.Context, conn *sqlx.Conn, r *Report) error {
	return conn.QueryRowxContext(ctx, "SELECT min(at), max(at) FROM feed").Scan(&r.From, &r.Until)
}

// oursQuery is every change of one currency by a call of ours, beside the feed's.
const oursQuery = ` FROM feed f JOIN adjustments a ON a.idempotency_key = f.key `

// lacksQuery is every call of ours that was applied while the feed covers, and that it
// lacks.
const lacksQuery = ` FROM adjustments a, jsonb_each_text(a.deltas) d
	WHERE a.state = 'applied' AND a.opened_at >= $1 AND a.settled_at <= $2 AND d.value::bigint <> 0
		AND NOT EXISTS (SELECT FROM feed f WHERE f.key = a.idempotency_key AND f.currency = d.key)`

// ours compares the changes that calls of ours made.
func (c Config) ours(ctx context.Context, conn *sqlx.Conn, r *Report) error {
	const same = `a.state IN ('open', 'unknown') OR a.state = 'applied' AND coalesce((a.deltas ->> f.currency)::bigint, 0) = f.units`
	err := conn.QueryRowxContext(ctx, `SELECT count(*) FILTER (WHERE a.state = 'applied' AND (`+same+`)), count(*) FILTER (WHERE NOT (`+same+`))`+oursQuery).Scan(&r.Ours, &r.Differing)
	if err != nil {
		return err
	}
	if err := conn.SelectContext(ctx, &r.Differs, `SELECT f.key, f.app_user_id, f.currency, f.units, f.at, f.file, f.line, a.state, '' AS transaction_id,
			CASE a.state WHEN 'applied' THEN coalesce((a.deltas ->> f.currency)::bigint, 0) ELSE 0 END AS ours`+oursQuery+`WHERE NOT (`+same+`) ORDER BY f.at, f.key LIMIT $1`, listMax); err != nil {
		return err
	}
	until := r.Until.Add(-c.Margin)
	if err := conn.GetContext(ctx, &r.Lacking, `SELECT count(*)`+lacksQuery, r.From, until); err != nil {
		return err
	}
	return conn.SelectContext(ctx, &r.Lacks, `SELECT a.idempotency_key AS key, a.app_user_id, d.key AS currency, 0 AS units, d.value::bigint AS ours, a.state,
		a.settled_at AS at, '' AS transaction_id, '' AS file, 0 AS line`+lacksQuery+` ORDER BY a.settled_at LIMIT $3`, r.From, until, listMax)
}

// foreign is every change that is under no key of ours. It is known when our ledger
// has it: under its id, by the store's transaction, or the same sum of the same
// customer within two minutes.
const foreign = ` FROM (SELECT f.*, EXISTS (SELECT FROM provider_movements m WHERE m.movement_id = f.key AND m.currency = f.currency)
		OR f.transaction_id <> '' AND EXISTS (SELECT FROM provider_movements m WHERE m.transaction_id = f.transaction_id AND m.currency = f.currency AND ` + sameUnits + `)
		OR EXISTS (SELECT FROM provider_movements m WHERE m.app_user_id IN (f.app_user_id, f.original_id) AND m.currency = f.currency AND ` + sameUnits + `
			AND m.moved_at BETWEEN f.at - interval '2 minutes' AND f.at + interval '2 minutes') AS known
	FROM feed f WHERE f.units <> 0 AND NOT EXISTS (SELECT FROM adjustments a WHERE a.idempotency_key = f.key)) f `

const sameUnits = `CASE m.credit WHEN 'wallet' THEN m.amount ELSE -m.amount END = f.units`

// nobodys finds the changes that our ledger does not have.
func (c Config) nobodys(ctx context.Context, conn *sqlx.Conn, r *Report) error {
	if err := conn.QueryRowxContext(ctx, `SELECT count(*) FILTER (WHERE known), count(*) FILTER (WHERE NOT known)`+foreign).Scan(&r.Known, &r.Nobodys); err != nil {
		return err
	}
	//nolint:sqlclosecheck // it is closed, below
	rows, err := conn.QueryxContext(ctx, `SELECT key, app_user_id, currency, units, 0 AS ours, type AS state, at, transaction_id, file, line`+foreign+`WHERE NOT known ORDER BY at, key, currency`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var change Change
		if err := rows.StructScan(&change); err != nil {
			return err
		}
		if len(r.Movements) < listMax {
			r.Movements = append(r.Movements, change)
		}
		if c.Missed != nil {
			if err := c.Missed(change); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

// record writes what the provider moved by itself into our ledger. Deductions are made
// by calls, and those of nobody are left to a person. What is younger than the margin
// may still be told by a webhook, under another id.
func (c Config) record(ctx context.Context, conn *sqlx.Conn, r *Report) error {
	if !c.Record || c.DryRun {
		return nil
	}
	result, err := conn.ExecContext(ctx, `INSERT INTO provider_movements (movement_id, currency, amount, moved_at, entered_at, app_user_id, environment, source, store, product_id, transaction_id, kind, debit, credit)
		SELECT key, currency, abs(units), at, now(), app_user_id, coalesce(nullif(environment, ''), 'production'),
			CASE WHEN sold THEN 'in_app_purchase' ELSE lower(type) END, store, product_id, transaction_id,
			CASE WHEN sold AND units > 0 THEN 'store_credit' WHEN sold THEN 'store_removal' WHEN units > 0 THEN 'provider_credit' ELSE 'provider_removal' END,
			CASE WHEN units < 0 THEN 'wallet' WHEN sold THEN 'store' ELSE 'issuance' END,
			CASE WHEN units > 0 THEN 'wallet' WHEN sold THEN 'store' ELSE 'issuance' END
		FROM (SELECT f.*, type IN ('PURCHASE', 'REFUND_REMOVAL') OR transaction_id <> '' AS sold`+foreign+`) f
		WHERE NOT known AND type <> 'DEDUCTION' AND at <= $1 ORDER BY key, currency ON CONFLICT DO NOTHING`, r.Until.Add(-c.Margin))
	if err != nil {
		return err
	}
	r.Recorded, err = result.RowsAffected()
	return err
}
