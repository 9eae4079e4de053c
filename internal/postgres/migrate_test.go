package postgres_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
)

// files makes migrations out of SQL, numbered from 1.
func files(sql ...string) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for i, s := range sql {
		name := "0000" + string(rune('1'+i)) + "_step.sql"
		fsys[name] = &fstest.MapFile{Data: []byte(s)}
	}
	return fsys
}

func TestManyStartersMigrateOnce(t *testing.T) {
	t.Parallel()
	_, url := emptyDatabase(t)
	var out bytes.Buffer // slog serialises its writes
	log := slog.New(slog.NewTextHandler(&out, nil))
	steps := files("-- +goose Up\nCREATE TABLE one (n int);\nSELECT pg_sleep(0.1);\n",
		"-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY one_n_idx ON one (n);\n")

	const starters = 4
	done := make(chan error, starters)
	for range starters {
		go func() {
			db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 1}) // one connection is enough
			if err == nil {
				err = errors.Join(postgres.MigrateFiles(t.Context(), db, steps, log), db.Close())
			}
			done <- err
		}()
	}
	for range starters {
		require.NoError(t, <-done)
	}
	assert.Equal(t, 2, strings.Count(out.String(), "msg=migration"), "each file once:\n%s", out.String())
}

func TestMigrationsCurrentOnlyReads(t *testing.T) {
	t.Parallel()
	db, _ := emptyDatabase(t)
	log := slog.New(slog.DiscardHandler)
	older := files("-- +goose Up\nCREATE TABLE one ();")
	newer := files("-- +goose Up\nCREATE TABLE one ();", "-- +goose Up\nCREATE TABLE two ();")

	current, err := postgres.MigrationsCurrentWith(t.Context(), db, newer)
	require.NoError(t, err)
	assert.False(t, current)
	var tables int
	require.NoError(t, db.GetContext(t.Context(), &tables, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`))
	assert.Zero(t, tables, "asking made a table")

	require.NoError(t, postgres.MigrateFiles(t.Context(), db, older, log))
	current, err = postgres.MigrationsCurrentWith(t.Context(), db, newer)
	require.NoError(t, err)
	assert.False(t, current)

	require.NoError(t, postgres.MigrateFiles(t.Context(), db, newer, log))
	require.NoError(t, postgres.MigrateFiles(t.Context(), db, newer, log), "a second call does nothing")
	for name, binary := range map[string]fstest.MapFS{"this": newer, "the one before": older} {
		current, err = postgres.MigrationsCurrentWith(t.Context(), db, binary)
		require.NoError(t, err)
		assert.True(t, current, "%s binary may run", name)
		require.NoError(t, postgres.MigrateFiles(t.Context(), db, binary, log), "%s binary may start", name)
	}
}

func TestFailedMigrationNamesItsFileAndLeavesNothing(t *testing.T) {
	t.Parallel()
	db, _ := emptyDatabase(t)
	broken := files("-- +goose Up\nCREATE TABLE one ();", "-- +goose Up\nCREATE TABLE two ();\nCREATE TABLE two ();")
	err := postgres.MigrateFiles(t.Context(), db, broken, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "00002_step.sql")
	assert.Equal(t, "42P07", postgres.Code(err))

	schema, err := postgres.Schema(t.Context(), db)
	require.NoError(t, err)
	assert.Equal(t, "TABLE one\n", schema)

	mended := files("-- +goose Up\nCREATE TABLE one ();", "-- +goose Up\nCREATE TABLE two ();")
	require.NoError(t, postgres.MigrateFiles(t.Context(), db, mended, slog.New(slog.DiscardHandler)), "the lock is free")
}

func TestMigrateReachesTheEmbeddedSchema(t *testing.T) {
	t.Parallel()
	db, _ := emptyDatabase(t)
	log := slog.New(slog.DiscardHandler)
	require.NoError(t, postgres.Migrate(t.Context(), db, log))
	current, err := postgres.MigrationsCurrent(t.Context(), db)
	require.NoError(t, err)
	assert.True(t, current)
}
