package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
)

// counters is how far PostgreSQL has come.
type counters struct {
	WAL     float64 `db:"wal"`     // bytes of log, since the beginning of it
	Pages   float64 `db:"pages"`   // whole pages in it, after checkpoints
	Commits float64 `db:"commits"` // in this database, reads included
}

func readCounters(ctx context.Context, db *sqlx.DB) (counters, error) {
	var c counters
	err := db.GetContext(ctx, &c, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal,
		coalesce((SELECT wal_fpi FROM pg_stat_wal), 0)::float8 AS pages,
		(SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())::float8 AS commits`)
	if err != nil {
		return c, fmt.Errorf("read PostgreSQL's counters: %w", err)
	}
	return c, nil
}

// serverVersion is PostgreSQL's, and whether it syncs commits to the disk.
func serverVersion(ctx context.Context, db *sqlx.DB) (string, error) {
	var version string
	err := db.GetContext(ctx, &version, `SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)
		|| ', fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit')
		|| ', shared_buffers ' || current_setting('shared_buffers')`)
	return version, err
}

// tableSize is a table with its indexes.
type tableSize struct {
	Name  string  `db:"name"`
	Bytes float64 `db:"bytes"`
	Rows  float64 `db:"rows"` // as the statistics have them
	Dead  float64 `db:"dead"`
}

// readTables reads the sizes of all tables; the months of one are one.
func readTables(ctx context.Context, db *sqlx.DB) ([]tableSize, error) {
	var list []tableSize
	err := db.SelectContext(ctx, &list, `SELECT coalesce(pg_partition_root(relid), relid)::regclass::text AS name,
		sum(pg_total_relation_size(relid))::float8 AS bytes, sum(n_live_tup)::float8 AS rows, sum(n_dead_tup)::float8 AS dead
		FROM pg_stat_user_tables WHERE schemaname = 'public' GROUP BY 1 ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("read the sizes of tables: %w", err)
	}
	return list, nil
}

// openMark returns the end of what was accepted until now.
func openMark(ctx context.Context, db *sqlx.DB) (seq int64, err error) {
	err = db.GetContext(ctx, &seq, "SELECT coalesce(max(seq), 0) FROM spends")
	return seq, err
}

// atRest reports whether none of the players' spends is open and the outbox owes
// them nothing.
func atRest(ctx context.Context, db *sqlx.DB, players string) (bool, error) {
	var busy bool
	err := db.GetContext(ctx, &busy, `SELECT
		EXISTS (SELECT FROM spends WHERE finished_at IS NULL AND starts_with(app_user_id, $1))
		OR EXISTS (SELECT FROM outbox WHERE starts_with(payload->>'subject', $1))`, players)
	if err != nil {
		return false, fmt.Errorf("look for open spends: %w", err)
	}
	return !busy, nil
}

// times are a spend's, as its row has them.
type times struct {
	ID       uuid.UUID  `db:"id"`
	State    string     `db:"state"`
	Accepted time.Time  `db:"accepted_at"`
	Charged  *time.Time `db:"charged_at"`
	Finished *time.Time `db:"finished_at"`
}

// eachSince calls do with every spend accepted after a mark.
func eachSince(ctx context.Context, db *sqlx.DB, seq int64, do func(times)) error {
	rows, err := db.QueryxContext(ctx, "SELECT id, state, accepted_at, charged_at, finished_at FROM spends WHERE seq > $1", seq)
	if err != nil {
		return fmt.Errorf("read spends: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t times
		if err := rows.StructScan(&t); err != nil {
			return fmt.Errorf("read spends: %w", err)
		}
		do(t)
	}
	return rows.Err()
}
