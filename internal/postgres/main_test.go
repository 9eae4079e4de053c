package postgres_test

import (
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// emptyDatabase returns a pool on a database without a schema, and its address.
func emptyDatabase(t *testing.T) (*sqlx.DB, string) {
	t.Helper()
	db := testenv.Postgres(t)
	_, err := db.ExecContext(t.Context(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	require.NoError(t, err)
	return db, testenv.PostgresURL(t)
}

// open returns a pool of the test's own.
func open(t *testing.T, c postgres.Config) *sqlx.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
