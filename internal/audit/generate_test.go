package audit_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
)

// generate writes the books of so many spends, ten a player, as the roles would have
// left them: of 40 spends 32 are fulfilled, 2 each refunded and grants, one each
// declined, charged, refunding and requested. That is 1.8 ledger lines a spend.
func generate(tb testing.TB, db *sqlx.DB, spends int) {
	tb.Helper()
	const of = ` FROM (SELECT *, ('0198' || lpad(to_hex(i / 16), 8, '0') || '7000' || '8000' || lpad(to_hex(i), 12, '0'))::uuid AS id,
			('0198' || lpad(to_hex(i / 16), 8, '0') || '7001' || '8000' || lpad(to_hex(i), 12, '0'))::uuid AS call,
			'player' || i / 10 AS player, jsonb_build_object('GEM', 10 * (1 + i % 5)) AS cost, timestamptz '2026-01-01' + i * interval '1 ms' AS at,
			CASE i % 40 WHEN 1 THEN 'refunded' WHEN 2 THEN 'refunded' WHEN 3 THEN 'declined' WHEN 4 THEN 'charged' WHEN 5 THEN 'refunding' WHEN 6 THEN 'requested' ELSE 'fulfilled' END AS state,
			CASE WHEN i % 40 IN (7, 8) THEN 'grant' ELSE 'spend' END AS kind
		FROM generate_series(1, {n}) i) g `
	for _, statement := range []string{
		`INSERT INTO catalog_versions (fingerprint, body) VALUES ('test', '{"items":{"sword":{"hand_over":{"port":"inventory"}},"hat":{"hand_over":{"port":"http"}}}}')`,
		`INSERT INTO adjustments (id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
			SELECT call, at, at, at, call, player,
				CASE kind WHEN 'grant' THEN 'grant' ELSE 'charge' END, CASE state WHEN 'declined' THEN 'insufficient' ELSE 'applied' END, call || ':charge', '{}', '',
				jsonb_build_object('GEM', CASE kind WHEN 'grant' THEN 10 ELSE -10 END * (1 + i % 5))` + of + `WHERE state <> 'requested'`,
		`INSERT INTO adjustments (id, spend_id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
			SELECT id, id, at, at, at, call, player, 'refund', 'applied', id || ':refund', '{}', '', cost` + of + `WHERE state = 'refunded'`,
		`INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost, kind)
			SELECT id, 1, 1, at, CASE WHEN state IN ('requested', 'charged', 'refunding') THEN NULL ELSE at END, CASE state WHEN 'requested' THEN NULL ELSE call END, id, player, id,
				CASE WHEN kind = 'grant' THEN '' WHEN i % 3 = 0 THEN 'hat' ELSE 'sword' END, state,
				CASE WHEN kind = 'grant' OR state IN ('charged', 'declined') THEN 'requested' WHEN state IN ('fulfilled', 'refunding') THEN 'charged' WHEN state = 'refunded' THEN 'refunding' END, cost, kind` + of,
		`INSERT INTO ledger_entries (spend_id, amount, entered_at, app_user_id, kind, currency, debit, credit)
			SELECT id, 10 * (1 + i % 5), at, player, line.kind, 'GEM', debit, credit` + of + `
			JOIN (VALUES ('grant', 'issuance', 'wallet'), ('charge', 'wallet', 'in_flight'), ('fulfil', 'in_flight', 'sink'), ('refund', 'in_flight', 'wallet')) line (kind, debit, credit)
				ON CASE WHEN g.kind = 'grant' THEN line.kind = 'grant' WHEN line.kind = 'charge' THEN state NOT IN ('declined', 'requested')
					WHEN line.kind = 'fulfil' THEN state = 'fulfilled' WHEN line.kind = 'refund' THEN state = 'refunded' ELSE false END`,
		`INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) SELECT id, 1, at, player, 'sword'` + of + `WHERE state = 'fulfilled' AND kind = 'spend' AND i % 3 <> 0`,
	} {
		_, err := db.ExecContext(tb.Context(), strings.ReplaceAll(statement, "{n}", strconv.Itoa(spends)))
		require.NoError(tb, err, statement)
	}
	_, err := db.ExecContext(tb.Context(), "VACUUM ANALYZE")
	require.NoError(tb, err)
}
