package postgres_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
)

// TestPendingMigrationsNameTheTablesTheyLock: those that are there, with their rows,
// and nothing is changed by asking.
func TestPendingMigrationsNameTheTablesTheyLock(t *testing.T) {
	t.Parallel()
	db, _ := emptyDatabase(t)
	const made = "-- +goose Up\nCREATE TABLE one (n int); CREATE TABLE two (n int) PARTITION BY RANGE (n); CREATE TABLE two_all PARTITION OF two DEFAULT;"
	pending, err := postgres.PendingMigrationsWith(t.Context(), db, files(made))
	require.NoError(t, err)
	require.Equal(t, []postgres.PendingMigration{{File: "00001_step.sql", Tables: []postgres.PendingTable{}}}, pending)
	require.NoError(t, postgres.MigrateFiles(t.Context(), db, files(made), slog.New(slog.DiscardHandler)))
	db.MustExecContext(t.Context(), `INSERT INTO one SELECT generate_series(1, 30); INSERT INTO two SELECT generate_series(1, 20)`)
	db.MustExecContext(t.Context(), `ANALYZE`)

	all := files(made, "-- +goose Up\n-- ALTER TABLE two ...\nCREATE TABLE three (n int);\nALTER TABLE three ADD m int;\nCREATE UNIQUE INDEX one_idx ON one (n);",
		"-- +goose Up\nUPDATE two SET n = 1;\nALTER TABLE IF EXISTS one ADD m int;\nalter table one ADD k int;")
	for range 2 {
		pending, err = postgres.PendingMigrationsWith(t.Context(), db, all)
		require.NoError(t, err)
		require.Equal(t, []postgres.PendingMigration{
			{File: "00002_step.sql", Tables: []postgres.PendingTable{{Name: "one", Rows: 30}}},
			{File: "00003_step.sql", Tables: []postgres.PendingTable{{Name: "one", Rows: 30}, {Name: "two", Rows: 20}}},
		}, pending)
	}
	require.NoError(t, postgres.MigrateFiles(t.Context(), db, all, slog.New(slog.DiscardHandler)))
	pending, err = postgres.PendingMigrationsWith(t.Context(), db, all)
	require.NoError(t, err)
	require.Empty(t, pending)
}
