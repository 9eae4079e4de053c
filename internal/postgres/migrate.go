package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/sluice-gems/sluice/migrations"
)

// The advisory lock of migrations: a starter that finds it taken asks again every
// second, for ten minutes. It asks rather than waits, because a statement that
// waits holds a snapshot, and CREATE INDEX CONCURRENTLY waits for all snapshots.
const (
	lockPeriodSeconds = 1
	lockAttempts      = 600
)

// versionTable is goose's own book-keeping.
const versionTable = goose.DefaultTablename

// Migrate brings the schema to the newest migration of this binary. Any number of
// processes may call it at once: one migrates, the others wait for it. A second
// call does nothing, and so does a call on a schema that a newer binary made.
//
// It needs a session of its own: give it the database's address, not that of a
// pooler in transaction mode. Each file is one transaction unless it says NO
// TRANSACTION, so a failure leaves the files before it applied.
func Migrate(ctx context.Context, db *sqlx.DB, log *slog.Logger) error {
	return migrate(ctx, db, migrations.FS, log)
}

// MigrationsCurrent reports whether every migration of this binary is applied. It
// only reads, and it is true when the schema is newer: forward-only migrations
// leave it usable for the binary before.
func MigrationsCurrent(ctx context.Context, db *sqlx.DB) (bool, error) {
	return migrationsCurrent(ctx, db, migrations.FS)
}

func migrate(ctx context.Context, db *sqlx.DB, files fs.FS, log *slog.Logger) error {
	current, err := migrationsCurrent(ctx, db, files)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if current {
		return nil
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriodSeconds, lockAttempts))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db.DB, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		log.InfoContext(ctx, "migration", "file", r.Source.Path, "duration_ms", r.Duration.Milliseconds())
	}
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		return fmt.Errorf("migrate %s: %w", partial.Failed.Source.Path, partial.Err)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func migrationsCurrent(ctx context.Context, db *sqlx.DB, files fs.FS) (bool, error) {
	lacking, err := lackingVersions(ctx, db, files)
	return err == nil && len(lacking) == 0, err
}

// lackingVersions are the migrations of this binary that are not applied.
func lackingVersions(ctx context.Context, db *sqlx.DB, files fs.FS) (map[int64]bool, error) {
	lacking, err := versions(files)
	if err != nil {
		return nil, err
	}
	var exists bool
	if err := db.GetContext(ctx, &exists, `SELECT to_regclass($1) IS NOT NULL`, versionTable); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if !exists {
		return lacking, nil
	}
	var applied []int64
	if err := db.SelectContext(ctx, &applied, `SELECT version_id FROM `+versionTable+` WHERE is_applied`); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	for _, version := range applied {
		delete(lacking, version)
	}
	return lacking, nil
}

// versions returns the numbers in front of the names of the .sql files.
func versions(files fs.FS) (map[int64]bool, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	found := make(map[int64]bool, len(names))
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		found[version] = true
	}
	return found, nil
}
