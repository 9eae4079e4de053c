package audit_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// generateStep is how many spends one statement writes: what it holds in memory and
// in temporary files stays small.
const generateStep = 500_000

// generate writes the books of so many spends, ten a player, as the roles would have
// left them: of 40 spends 32 are fulfilled, 2 each refunded and grants, one each
// declined, charged, refunding and requested. Two of the 40 were charged by one call.
// That is 1.8 ledger lines a spend. A grant is of as many gems as a spend costs.
func generate(tb testing.TB, db *sqlx.DB, spends int) {
	tb.Helper()
	storeCatalog(tb, db)
	for first := 1; first <= spends; first += generateStep {
		generateSome(tb, db, first, min(first+generateStep-1, spends))
	}
	_, err := db.ExecContext(tb.Context(), "VACUUM ANALYZE")
	require.NoError(tb, err)
}

// storeCatalog stores version 1: a sword for our own inventory and a hat for a server
// of the game, 10 gems each.
func storeCatalog(tb testing.TB, db *sqlx.DB) {
	tb.Helper()
	item := func(id, port string) economy.Item {
		return economy.Item{ID: id, Name: id, Price: economy.Amounts{"GEM": 10}, QuantityMin: 1, QuantityMax: 9, HandOver: economy.HandOver{Port: port}}
	}
	catalog := economy.Catalog{Items: map[string]economy.Item{"sword": item("sword", "inventory"), "hat": item("hat", "http")}}
	body, err := economy.CatalogJSON(catalog)
	require.NoError(tb, err)
	fingerprint, err := economy.CatalogFingerprint(catalog)
	require.NoError(tb, err)
	_, err = db.ExecContext(tb.Context(), "INSERT INTO catalog_versions (fingerprint, body) VALUES ($1, $2::jsonb)", fingerprint, string(body))
	require.NoError(tb, err)
}

// generateSome writes the spends from first to last.
func generateSome(tb testing.TB, db *sqlx.DB, first, last int) {
	tb.Helper()
	const of = ` FROM (SELECT *, ('0198' || lpad(to_hex(i / 16), 8, '0') || '7000' || '8000' || lpad(to_hex(i), 12, '0'))::uuid AS id,
			('0198' || lpad(to_hex(i / 16), 8, '0') || '7001' || '8000' || lpad(to_hex(CASE i % 40 WHEN 12 THEN i - 1 ELSE i END), 12, '0'))::uuid AS call,
			'player' || i / 10 AS player, 1 + i % 5 AS quantity, jsonb_build_object('GEM', 10 * (1 + i % 5)) AS cost, timestamptz '2026-01-01' + i * interval '1 ms' AS at,
			CASE i % 40 WHEN 1 THEN 'refunded' WHEN 2 THEN 'refunded' WHEN 3 THEN 'declined' WHEN 4 THEN 'charged' WHEN 5 THEN 'refunding' WHEN 6 THEN 'requested' ELSE 'fulfilled' END AS state,
			CASE WHEN i % 40 IN (7, 8) THEN 'grant' ELSE 'spend' END AS kind,
			CASE WHEN i % 40 IN (7, 8) THEN 10 * (1 + i % 5) WHEN i % 40 = 11 THEN -10 * (2 + i % 5 + (i + 1) % 5) ELSE -10 * (1 + i % 5) END AS delta
		FROM generate_series({first}, {last}) i) g `
	for _, statement := range []string{
		`INSERT INTO adjustments (id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
			SELECT call, at, at, at, call, player, CASE kind WHEN 'grant' THEN 'grant' ELSE 'charge' END, CASE state WHEN 'declined' THEN 'insufficient' ELSE 'applied' END, call || ':charge',
				'{"adjustments":{"GEM":' || delta || '},"reference":"sluice charge ' || call || '"}', '', jsonb_build_object('GEM', delta)` + of + `WHERE state <> 'requested' AND i % 40 <> 12`,
		`INSERT INTO adjustments (id, spend_id, leased_until, opened_at, settled_at, change_id, app_user_id, purpose, state, idempotency_key, body, leased_by, deltas)
			SELECT id, id, at, at, at, call, player, 'refund', 'applied', id || ':refund',
				'{"adjustments":{"GEM":' || 10 * quantity || '},"reference":"sluice refund ' || id || '"}', '', cost` + of + `WHERE state = 'refunded'`,
		`INSERT INTO spends (id, quantity, catalog_version, accepted_at, finished_at, adjustment_id, change_id, app_user_id, idempotency_key, item, state, left_state, cost, kind)
			SELECT id, CASE kind WHEN 'grant' THEN 1 ELSE quantity END, 1, at, CASE WHEN state IN ('requested', 'charged', 'refunding') THEN NULL ELSE at END, CASE state WHEN 'requested' THEN NULL ELSE call END, id, player, id,
				CASE WHEN kind = 'grant' THEN '' WHEN i % 3 = 0 THEN 'hat' ELSE 'sword' END, state,
				CASE WHEN kind = 'grant' OR state IN ('charged', 'declined') THEN 'requested' WHEN state IN ('fulfilled', 'refunding') THEN 'charged' WHEN state = 'refunded' THEN 'refunding' END, cost, kind` + of,
		`INSERT INTO ledger_entries (spend_id, amount, entered_at, app_user_id, kind, currency, debit, credit)
			SELECT id, 10 * quantity, at, player, line.kind, 'GEM', debit, credit` + of + `
			JOIN (VALUES ('grant', 'issuance', 'wallet'), ('charge', 'wallet', 'in_flight'), ('fulfil', 'in_flight', 'sink'), ('refund', 'in_flight', 'wallet')) line (kind, debit, credit)
				ON CASE WHEN g.kind = 'grant' THEN line.kind = 'grant' WHEN line.kind = 'charge' THEN state NOT IN ('declined', 'requested')
					WHEN line.kind = 'fulfil' THEN state = 'fulfilled' WHEN line.kind = 'refund' THEN state = 'refunded' ELSE false END`,
		`INSERT INTO inventory_grants (spend_id, quantity, granted_at, app_user_id, item) SELECT id, quantity, at, player, 'sword'` + of + `WHERE state = 'fulfilled' AND kind = 'spend' AND i % 3 <> 0`,
	} {
		_, err := db.ExecContext(tb.Context(), strings.NewReplacer("{first}", strconv.Itoa(first), "{last}", strconv.Itoa(last)).Replace(statement))
		require.NoError(tb, err, statement)
	}
}
