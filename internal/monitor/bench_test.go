package monitor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// BenchmarkSnapshot reads everything while 100,000 spends are open and owed.
func BenchmarkSnapshot(b *testing.B) {
	db := testenv.Postgres(b)
	for _, query := range []string{
		`INSERT INTO spends (id, quantity, catalog_version, accepted_at, change_id, app_user_id, idempotency_key, item, state, cost)
			SELECT gen_random_uuid(), 1, 1, now(), gen_random_uuid(), 'player' || n % 20000, n::text, 'sword', 'requested', '{"GEM":1}' FROM generate_series(1, 100000) n`,
		`INSERT INTO outbox (event_id, consumer, lane, subject, payload)
			SELECT n::text, 'adjust', 'live', 'sluice.live.spend.requested.v1.' || lpad((n % 16)::text, 2, '0'), '{}' FROM generate_series(1, 100000) n`,
		"ANALYZE",
	} {
		_, err := db.ExecContext(b.Context(), query)
		require.NoError(b, err)
	}
	m, now := monitor.New(db, nil), at(0)
	m.SetNow(func() time.Time { now = now.Add(time.Hour); return now })
	for b.Loop() {
		s, err := m.Snapshot(b.Context())
		require.NoError(b, err)
		require.EqualValues(b, 100_000, s.Outbox.Owed)
	}
}
