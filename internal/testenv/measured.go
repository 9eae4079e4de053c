package testenv

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// MeasuredPostgres starts a migrated PostgreSQL of its own on a disk, with a cache
// smaller than the millions of rows that are measured in it, until the test ends. They
// stay in folder for the next time; without one they go with the test.
func MeasuredPostgres(t testing.TB, folder string) *sqlx.DB {
	t.Helper()
	if folder == "" {
		folder = t.TempDir()
	}
	for dir := folder; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		_ = os.Chmod(dir, 0o755) //nolint:gosec // the server's own account passes through, when we are root
	}
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		DataDir: filepath.Join(folder, "postgres"), Settings: map[string]string{"shared_buffers": "1GB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	db, err := postgres.Open(t.Context(), postgres.Config{URL: server.URL(devstack.Database), MaxConns: 24, Session: map[string]string{"statement_timeout": "0", "jit": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, postgres.Migrate(t.Context(), db, slog.New(slog.DiscardHandler)))
	return db
}
