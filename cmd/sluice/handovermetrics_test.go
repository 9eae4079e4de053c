package main

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// TestEveryRoleShowsWhatWaitsForAServerOfTheGame, also for one that no setting names any
// more, and when none is set at all.
func TestEveryRoleShowsWhatWaitsForAServerOfTheGame(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	catalog, err := books.NewCatalogs(db).Store(t.Context(), economy.Catalog{Items: map[string]economy.Item{
		"sword": {ID: "sword", Price: economy.Amounts{"GEM": 10}, HandOver: economy.HandOver{Port: economy.HandOverHTTP, Endpoint: "guild"}},
	}})
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `WITH a AS (INSERT INTO adjustments (id, app_user_id, purpose, state, idempotency_key, body, deltas, leased_by, leased_until, opened_at, change_id, settled_at)
			VALUES (gen_random_uuid(), 'p', 'charge', 'applied', 'k', '', '{}', '', now(), now(), gen_random_uuid(), now()) RETURNING id)
		INSERT INTO spends (id, quantity, catalog_version, accepted_at, charged_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost)
		SELECT gen_random_uuid(), 1, $1, now(), now() - interval '1 hour', id, gen_random_uuid(), 'p', 'k', 'sword', 'charged', 'requested', '{"GEM":10}' FROM a`, catalog.Version)
	require.NoError(t, err)
	server, err := broker.StartEmbedded(broker.EmbeddedConfig{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	cfg := config.Default()
	cfg.Database.URL, cfg.NATS.URL = config.NewURL(testenv.PostgresURL(t)), config.NewURL(server.URL())
	p, err := startProcess(t.Context(), "relay", cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(p.close)
	families, err := p.registry.Gather()
	require.NoError(t, err)
	seen := map[string]float64{}
	for _, family := range families {
		for _, series := range family.GetMetric() {
			name := family.GetName()
			for _, label := range series.GetLabel() {
				name += " " + label.GetValue()
			}
			seen[name] = series.GetGauge().GetValue()
		}
	}
	require.InDelta(t, 1, seen["sluice_handover_waiting_spends guild charged"], 0)
	require.Contains(t, seen, "sluice_handover_waiting_spends guild refunding")
	require.InDelta(t, 3600, seen["sluice_handover_oldest_age_seconds guild"], 300)
}
