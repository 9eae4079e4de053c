package purchases

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// Rehearsal takes statements as a Bulk does and changes nothing: what they come to is
// written to temporary tables, which stand before the real ones. Every Store on the same
// pool reads how things would be.
//
// The pool has one connection, which ends with the rehearsal. It is not for use by
// several goroutines.
type Rehearsal struct {
	db   *sqlx.DB
	bulk *Bulk
}

// NewRehearsal begins a rehearsal on a pool of its own, which it makes one of a single
// connection.
func NewRehearsal(ctx context.Context, db *sqlx.DB, config BulkConfig) (*Rehearsal, error) {
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(0)
	db.SetConnMaxIdleTime(0)
	bulk, err := NewBulk(ctx, db, config)
	if err != nil {
		return nil, err
	}
	r := &Rehearsal{db, bulk}
	if err := r.begin(ctx); err != nil {
		bulk.Close()
		return nil, fmt.Errorf("begin rehearsal: %w", err)
	}
	return r, nil
}

// begin puts temporary tables before the real ones: pg_temp is searched first.
func (r *Rehearsal) begin(ctx context.Context) error {
	var schema string
	if err := r.bulk.conn.GetContext(ctx, &schema, "SELECT quote_ident(current_schema())"); err != nil {
		return err
	}
	_, err := r.bulk.conn.ExecContext(ctx, `SET statement_timeout = 0;
		CREATE TEMPORARY TABLE rehearsed_purchases (LIKE `+schema+`.purchases INCLUDING DEFAULTS INCLUDING INDEXES);
		CREATE TEMPORARY TABLE rehearsed_aliases (LIKE `+schema+`.customer_aliases INCLUDING INDEXES);
		CREATE TEMPORARY TABLE rehearsed_players (app_user_id text PRIMARY KEY);
		CREATE TEMPORARY VIEW real_purchases AS SELECT * FROM `+schema+`.purchases;
		CREATE TEMPORARY VIEW real_aliases AS SELECT * FROM `+schema+`.customer_aliases;
		CREATE TEMPORARY VIEW purchases AS SELECT * FROM rehearsed_purchases UNION ALL SELECT p.* FROM `+schema+`.purchases p
			WHERE NOT EXISTS (SELECT FROM rehearsed_purchases r WHERE r.transaction_id = p.transaction_id AND r.store = p.store AND r.environment = p.environment);
		CREATE TEMPORARY VIEW customer_aliases AS SELECT * FROM rehearsed_aliases UNION ALL SELECT * FROM `+schema+`.customer_aliases`)
	if err != nil {
		return err
	}
	r.bulk.known, err = r.bulk.conn.PreparexContext(ctx, knownQuery)
	return err
}

// Take takes statements. Errors: outbox.DataError for those that the database would
// refuse, and the database's: the rehearsal is over then.
func (r *Rehearsal) Take(ctx context.Context, list []Statement) (*Plan, error) {
	b := r.bulk
	tx, err := b.conn.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	plan, err := b.plan(ctx, tx, list)
	if err == nil {
		err = r.write(ctx, tx, plan)
	}
	if postgres.Classify(err) == postgres.Data {
		err = &outbox.DataError{Err: err}
	}
	if err != nil {
		return nil, err
	}
	return plan, tx.Commit()
}

func (r *Rehearsal) write(ctx context.Context, tx *sqlx.Tx, plan *Plan) error {
	b := r.bulk
	b.rows.reset()
	var players []string
	at, id := b.config.Now(), outbox.NewID()
	for _, c := range plan.Changes {
		b.appendChanged(c, at, id)
		players = append(players, c.After.Owner.Value, c.After.Buyer.Value)
		if c.Before != nil {
			players = append(players, c.Before.Owner.Value, c.Before.Buyer.Value)
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO rehearsed_purchases AS d (transaction_id, store, environment, recorded_at, catalog_version, used_up, `+names("")+`)
		SELECT r.transaction_id, r.store, r.environment, r.recorded_at, coalesce(p.catalog_version, 0), r.used_up OR coalesce(p.used_up, false), `+names("r.")+`
		FROM `+changedRows+`
		LEFT JOIN real_purchases p ON p.transaction_id = r.transaction_id AND p.store = r.store AND p.environment = r.environment
		ON CONFLICT (transaction_id, store, environment) DO UPDATE SET (used_up, `+names("")+`) = ROW(d.used_up OR excluded.used_up, `+names("excluded.")+`)`, b.rows.changed.Args(nil)...)
	if err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	ids, of := []string{}, []string{}
	for _, group := range plan.groups {
		for _, l := range links(group) {
			ids, of = append(ids, l[0]), append(of, l[1])
		}
	}
	var linked []string
	err = tx.SelectContext(ctx, &linked, `INSERT INTO rehearsed_aliases (app_user_id, alias_of, source, linked_at)
		SELECT DISTINCT l.id, l.of, $3, $4::timestamptz FROM unnest($1::text[], $2::text[]) AS l(id, of)
		WHERE NOT EXISTS (SELECT FROM real_aliases a WHERE a.app_user_id = l.id AND a.alias_of = l.of) ON CONFLICT DO NOTHING RETURNING app_user_id`,
		postgres.Array(ids), postgres.Array(of), b.config.Source, at)
	if err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	plan.Linked = len(linked)
	_, err = tx.ExecContext(ctx, `INSERT INTO rehearsed_players SELECT DISTINCT id FROM unnest($1::text[]) AS p(id) WHERE id <> '' ON CONFLICT DO NOTHING`,
		postgres.Array(append(players, linked...)))
	if err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	return nil
}

// Taken ends the taking: from now on every Store on the pool reads how things would be.
func (r *Rehearsal) Taken() error {
	_, _ = r.bulk.known.Close(), r.bulk.change.Close()
	return r.bulk.conn.Close() // back to the pool, with its temporary tables
}

// Rehearsed is a purchase as it would be.
type Rehearsed struct {
	TransactionID string     `db:"transaction_id"`
	Store         string     `db:"store"`
	Environment   string     `db:"environment"`
	Player        string     `db:"app_user_id"`
	Product       string     `db:"product_id"`
	New           bool       `db:"new"`
	Refund        bool       `db:"refund"`   // it would be refunded and is not
	Restored      bool       `db:"restored"` // it is refunded and would not be
	ExpiresAt     *time.Time `db:"expires_at"`
}

// Page returns purchases that would change, in the order of their keys, behind a key;
// the zero key is before the first.
func (r *Rehearsal) Page(ctx context.Context, after economy.PurchaseKey, limit int) ([]Rehearsed, error) {
	var list []Rehearsed
	err := r.db.SelectContext(ctx, &list, `SELECT d.transaction_id, d.store, d.environment, d.app_user_id, d.product_id, d.expires_at,
			p.transaction_id IS NULL AS new, d.refunded_at IS NOT NULL AND p.refunded_at IS NULL AS refund, d.refunded_at IS NULL AND p.refunded_at IS NOT NULL AS restored
		FROM rehearsed_purchases d
		LEFT JOIN real_purchases p ON p.transaction_id = d.transaction_id AND p.store = d.store AND p.environment = d.environment
		WHERE (d.transaction_id, d.store, d.environment) > ($1, $2, $3) ORDER BY d.transaction_id, d.store, d.environment LIMIT $4`,
		after.TransactionID, string(after.Store), string(after.Environment), limit)
	if err != nil {
		return nil, fmt.Errorf("read rehearsal: %w", err)
	}
	return list, nil
}

// Players returns the App User IDs whom something concerns that would change, in
// order, behind one.
func (r *Rehearsal) Players(ctx context.Context, after string, limit int) ([]string, error) {
	var list []string
	if err := r.db.SelectContext(ctx, &list, "SELECT app_user_id FROM rehearsed_players WHERE app_user_id > $1 ORDER BY app_user_id LIMIT $2", after, limit); err != nil {
		return nil, fmt.Errorf("read rehearsal: %w", err)
	}
	return list, nil
}
