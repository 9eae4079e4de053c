package postgres_test

import (
	"io/fs"
	"log/slog"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/migrations"
)

// A table that gets partitions keeps its rows, its keys and what it refuses.
func TestTablesWithRowsGetTheirMonths(t *testing.T) {
	t.Parallel()
	db, _ := emptyDatabase(t)
	log := slog.New(slog.DiscardHandler)
	before := fstest.MapFS{}
	list, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	for _, name := range list {
		if name < "00048" {
			before[name] = &fstest.MapFile{}
			before[name].Data, err = fs.ReadFile(migrations.FS, name)
			require.NoError(t, err)
		}
	}
	require.NoError(t, postgres.MigrateFiles(t.Context(), db, before, log))
	const event = `INSERT INTO webhook_events (id, received_at, event_key, verdict, headers) VALUES ($1, now(), 'k', $2, '{}')`
	const id = "019a0000-0000-7000-8000-000000000001"
	const said = `INSERT INTO purchase_versions (said_at, recorded_at, store, environment, transaction_id, source, said_by, kind, fact)
		VALUES (date_trunc('year', now()) + interval '14 months', now(), 'app_store', 'production', 't', 'export', 'x', 1, '{}')`
	db.MustExecContext(t.Context(), event, id, "accepted")
	db.MustExecContext(t.Context(), said)
	require.NoError(t, postgres.Migrate(t.Context(), db, log))
	for _, table := range []string{"webhook_events", "purchase_versions"} {
		var rows int
		require.NoError(t, db.Get(&rows, "SELECT count(*) FROM "+table+" WHERE tableoid = '"+table+"_before'::regclass"))
		require.Equal(t, 1, rows, table)
	}
	_, err = db.ExecContext(t.Context(), said)
	require.Equal(t, "23505", postgres.Code(err), "the same statement, though its time is yet to come")
	_, err = db.ExecContext(t.Context(), event, id, "accepted")
	require.Equal(t, "23505", postgres.Code(err))
	_, err = db.ExecContext(t.Context(), event, "ffff0000-0000-7000-8000-000000000001", "nonsense")
	require.Equal(t, "23514", postgres.Code(err))
	_, err = db.ExecContext(t.Context(), "UPDATE purchase_versions SET kind = 2")
	require.ErrorContains(t, err, "append-only")
}
