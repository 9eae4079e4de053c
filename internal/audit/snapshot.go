package audit

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
)

// snapshot is one view of the database, which nothing changes any more.
type snapshot struct {
	tx   *sqlx.Tx
	at   time.Time       // when it was taken, by PostgreSQL's clock
	safe time.Time       // whatever was committed later began to be written after
	name string          // for others who want to see the same
	ours map[itemOf]bool // items that go into our own inventory

	hashed  bool // joins are by hash: what is looked at is a range
	prices  catalogs
	changed []Finding // versions of the catalogue that are not what was stored
}

const (
	// settle is what every statement of an audit runs by.
	settle = `SET LOCAL work_mem = '64MB'; SET LOCAL statement_timeout = '5min'; SET LOCAL jit = off`
	// settleParts keeps a plan from reading a whole table for a part of it.
	settleParts = settle + `; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL max_parallel_workers_per_gather = 0`
)

// take takes a snapshot. Call release on it.
func take(ctx context.Context, db *sqlx.DB) (*snapshot, error) {
	tx, err := begin(ctx, db)
	if err != nil {
		return nil, err
	}
	b := &snapshot{tx: tx, ours: map[itemOf]bool{}}
	if err := b.look(ctx); err != nil {
		b.release()
		return nil, fmt.Errorf("audit: %w", err)
	}
	return b, nil
}

func begin(ctx context.Context, db *sqlx.DB) (*sqlx.Tx, error) {
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return tx, nil
}

func (b *snapshot) look(ctx context.Context) error {
	// A transaction that is under way has written nothing that we see, and began before
	// now. Of other roles' sessions PostgreSQL tells only whoever may read all statistics;
	// for those the watcher's margin must do.
	err := b.tx.QueryRowxContext(ctx, `SELECT now(), pg_export_snapshot(),
		(SELECT least(now(), min(xact_start)) FROM pg_stat_activity WHERE backend_xid IS NOT NULL)`).Scan(&b.at, &b.name, &b.safe)
	if err != nil {
		return err
	}
	if _, err := b.tx.ExecContext(ctx, settle); err != nil {
		return err
	}
	return b.readPrices(ctx)
}

// beside returns the same snapshot on another connection, to audit parts by.
func (b *snapshot) beside(ctx context.Context, db *sqlx.DB) (*snapshot, error) {
	tx, err := begin(ctx, db)
	if err != nil {
		return nil, err
	}
	other := &snapshot{tx: tx, at: b.at, safe: b.safe, name: b.name, ours: b.ours, prices: b.prices}
	if _, err := tx.ExecContext(ctx, `SET TRANSACTION SNAPSHOT '`+b.name+`'; `+settleParts); err != nil {
		other.release()
		return nil, fmt.Errorf("audit: %w", err)
	}
	return other, nil
}

// read runs a query over a scope. How many ids are in a narrow range PostgreSQL cannot
// tell, and takes it for one: two ranges must not be joined row by row. Single ids are
// looked up.
func (b *snapshot) read(ctx context.Context, s scope, list any, query string, args ...any) error {
	if hashed := s.ids == nil && s.calls == nil; hashed != b.hashed {
		if _, err := b.tx.ExecContext(ctx, "SELECT set_config('enable_nestloop', $1, true)", strconv.FormatBool(!hashed)); err != nil {
			return err
		}
		b.hashed = hashed
	}
	return b.tx.SelectContext(ctx, list, s.in(query), args...)
}

func (b *snapshot) release() { _ = b.tx.Rollback() }
