package audit

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// inOurs: the item is handed over into our own inventory.
const inOurs = `i.value -> 'hand_over' ->> 'port' = 'inventory'`

// snapshot is one view of the database, which nothing changes any more.
type snapshot struct {
	tx   *sqlx.Tx
	at   time.Time       // when it was taken, by PostgreSQL's clock
	safe time.Time       // whatever was committed later began to be written after
	name string          // for others who want to see the same
	ours map[itemOf]bool // items that go into our own inventory
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
	var items []struct {
		Version int64  `db:"version"`
		Item    string `db:"item"`
	}
	if err := b.tx.SelectContext(ctx, &items,
		`SELECT version, i.key AS item FROM catalog_versions c, jsonb_each(c.body -> 'items') i WHERE `+inOurs); err != nil {
		return err
	}
	for _, item := range items {
		b.ours[itemOf{item.Version, item.Item}] = true
	}
	return nil
}

// beside returns the same snapshot on another connection, to audit parts by.
func (b *snapshot) beside(ctx context.Context, db *sqlx.DB) (*snapshot, error) {
	tx, err := begin(ctx, db)
	if err != nil {
		return nil, err
	}
	other := &snapshot{tx: tx, at: b.at, safe: b.safe, name: b.name, ours: b.ours}
	if _, err := tx.ExecContext(ctx, `SET TRANSACTION SNAPSHOT '`+b.name+`'; `+settleParts); err != nil {
		other.release()
		return nil, fmt.Errorf("audit: %w", err)
	}
	return other, nil
}

func (b *snapshot) release() { _ = b.tx.Rollback() }
