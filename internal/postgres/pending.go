package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"github.com/sluice-gems/sluice/migrations"
)

// PendingMigration is a migration of this binary that a database lacks.
type PendingMigration struct {
	File   string         `json:"file"`
	Tables []PendingTable `json:"tables"`
}

// PendingTable is a table that is there and that a migration changes, under a lock that
// keeps writers out. Most changes are over in a moment, whatever the table's size.
type PendingTable struct {
	Name string `db:"name" json:"name"`
	Rows int64  `db:"rows" json:"rows"` // about, by PostgreSQL's own statistics
}

// PendingMigrations returns what Migrate would apply, in order. It only reads.
func PendingMigrations(ctx context.Context, db *sqlx.DB) ([]PendingMigration, error) {
	return pendingMigrations(ctx, db, migrations.FS)
}

// changed finds the tables that a file changes. What stands in a function or a string
// may be found too: it only says where to look.
var changed = regexp.MustCompile(`(?im)^\s*(?:ALTER TABLE|UPDATE|DELETE FROM|LOCK TABLE|CREATE (?:UNIQUE )?INDEX \w+ ON)\s+(?:IF EXISTS\s+)?(?:ONLY\s+)?(\w+)`)

func pendingMigrations(ctx context.Context, db *sqlx.DB, files fs.FS) ([]PendingMigration, error) {
	lacking, err := lackingVersions(ctx, db, files)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	pending := []PendingMigration{}
	for _, name := range names {
		if version, err := goose.NumericComponent(name); err != nil || !lacking[version] {
			continue
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		var tables []string
		for _, found := range changed.FindAllSubmatch(text, -1) {
			tables = append(tables, string(found[1]))
		}
		one := PendingMigration{File: name, Tables: []PendingTable{}}
		// A partitioned table has its rows in its partitions.
		if err := db.SelectContext(ctx, &one.Tables, `
			SELECT t.name, (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0) FROM pg_class c
				WHERE c.relkind = 'r' AND (c.oid = to_regclass(t.name) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass(t.name)))))::bigint AS rows
			FROM unnest($1::text[]) AS t (name)
			WHERE to_regclass(t.name) IS NOT NULL GROUP BY t.name ORDER BY t.name`, Array(tables)); err != nil {
			return nil, fmt.Errorf("read tables: %w", err)
		}
		pending = append(pending, one)
	}
	return pending, nil
}
