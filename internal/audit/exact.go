package audit

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// exactLines compares the lines that the spends in scope ask for with those that are
// there, one by one. A spend that an operator took back has a fulfil and a reclaim
// more than its state tells.
const exactLines = `WITH want AS (
		SELECT s.id AS spend_id, line.kind, cost.key AS currency, s.app_user_id, s.state, cost.value::bigint AS amount
		FROM spends s, jsonb_each_text(s.cost) cost, LATERAL (SELECT unnest(CASE
			WHEN s.kind = 'grant' AND s.state = 'fulfilled' THEN '{grant}'::text[]
			WHEN s.kind = 'grant' THEN '{}'
			WHEN s.state = 'charged' THEN '{charge}'
			WHEN s.state = 'fulfilled' THEN '{charge,fulfil}'
			WHEN s.state IN ('refunding', 'refunded') THEN '{charge}'::text[]
				|| CASE WHEN EXISTS (SELECT FROM ledger_entries r WHERE r.spend_id = s.id AND r.kind = 'reclaim') THEN '{fulfil,reclaim}'::text[] ELSE '{}' END
				|| CASE WHEN s.state = 'refunded' THEN '{refund}'::text[] ELSE '{}' END
			ELSE '{}' END) AS kind) line
		WHERE {s.id}),
	have AS (
		SELECT l.spend_id, l.kind, l.currency, l.app_user_id, l.amount, l.debit, l.credit, s.state, s.app_user_id AS player
		FROM ledger_entries l LEFT JOIN spends s ON s.id = l.spend_id WHERE {l.spend_id})
	SELECT spend_id::text AS subject, kind AS line, currency, coalesce(w.app_user_id, h.app_user_id) AS app_user_id,
		coalesce(h.amount, 0) - coalesce(w.amount, 0) AS units, CASE
			WHEN h.amount IS NULL THEN 'line_missing' WHEN w.amount IS NULL AND h.state IS NULL THEN 'line_orphan' WHEN w.amount IS NULL THEN 'line_extra'
			WHEN w.amount <> h.amount THEN 'line_amount' WHEN w.app_user_id <> h.app_user_id THEN 'line_player' ELSE 'line_accounts' END AS kind,
		CASE WHEN h.amount IS NULL THEN format('is %s and lacks its %s of %s %s', w.state, kind, w.amount, currency)
			WHEN w.amount IS NULL AND h.state IS NULL THEN format('does not exist, and has a %s of %s %s', kind, h.amount, currency)
			WHEN w.amount IS NULL THEN format('is %s and has a %s of %s %s', h.state, kind, h.amount, currency)
			WHEN w.amount <> h.amount THEN format('its %s is %s %s and should be %s', kind, h.amount, currency, w.amount)
			WHEN w.app_user_id <> h.app_user_id THEN format('its %s of %s %s stands in the books of player %s', kind, h.amount, currency, h.app_user_id)
			ELSE format('its %s of %s %s goes from %s to %s', kind, h.amount, currency, h.debit, h.credit) END AS detail
	FROM want w FULL JOIN have h USING (spend_id, kind, currency)
	WHERE w.amount IS DISTINCT FROM h.amount OR w.app_user_id <> h.app_user_id
		OR (kind, h.debit, h.credit) NOT IN (('charge', 'wallet', 'in_flight'), ('fulfil', 'in_flight', 'sink'), ('refund', 'in_flight', 'wallet'),
			('reclaim', 'sink', 'in_flight'), ('grant', 'issuance', 'wallet'))`

// exactItems compares the items of fulfilled spends with those in the inventory.
const exactItems = `SELECT coalesce(s.id, g.spend_id)::text AS subject, coalesce(s.item, g.item) AS line, '' AS currency,
		coalesce(s.app_user_id, g.app_user_id) AS app_user_id, coalesce(g.quantity, 0) - coalesce(s.quantity, 0) AS units,
		CASE WHEN g.spend_id IS NULL THEN 'item_missing' ELSE 'item_extra' END AS kind,
		CASE WHEN g.spend_id IS NULL THEN format('is fulfilled, and its %s x %s are not in the inventory', s.quantity, s.item)
			WHEN s.id IS NULL THEN format('is not fulfilled, and %s x %s are in the inventory', g.quantity, g.item)
			ELSE format('%s x %s are in the inventory of player %s and should be %s x %s', g.quantity, g.item, g.app_user_id, s.quantity, s.item) END AS detail
	FROM (SELECT s.* FROM spends s JOIN (SELECT version, i.key AS item FROM catalog_versions c, jsonb_each(c.body -> 'items') i WHERE ` + inOurs + `) c
			ON c.version = s.catalog_version AND c.item = s.item
		WHERE s.kind = 'spend' AND s.state = 'fulfilled' AND {s.id}) s
	FULL JOIN (SELECT g.* FROM inventory_grants g WHERE g.revoked_at IS NULL AND {g.spend_id}) g ON g.spend_id = s.id
	WHERE (s.app_user_id, s.item, s.quantity) IS DISTINCT FROM (g.app_user_id, g.item, g.quantity)`

// exactCalls names the spends without a call at the provider that was applied.
const exactCalls = `SELECT s.id::text AS subject, 'adjustment' AS line, '' AS currency, s.app_user_id, 0 AS units, 'not_applied' AS kind,
		format('is %s, and %s', s.state, CASE WHEN a.id IS NULL THEN 'no call at the provider is on record for it'
			WHEN a.state <> 'applied' THEN 'its call at the provider is ' || a.state ELSE 'its call at the provider was for something else' END) AS detail
	FROM spends s LEFT JOIN adjustments a ON a.id = s.adjustment_id WHERE {s.id} AND ` + notApplied

// exactRefunds names the spends whose refund at the provider does not account for
// their state.
const exactRefunds = `SELECT s.id::text AS subject, 'adjustment' AS line, '' AS currency, s.app_user_id, 0 AS units, 'not_applied' AS kind,
		format('is %s, and %s calls that give it back were applied', s.state, r.applied) AS detail
	FROM spends s, LATERAL (SELECT count(*) AS applied FROM adjustments r WHERE r.spend_id = s.id AND r.purpose = 'refund' AND r.state = 'applied') r
	WHERE {s.id} AND s.kind = 'spend' AND (s.state = 'refunded' OR r.applied > 0) AND r.applied <> (s.state = 'refunded')::int`

// exact names everything that is wrong with the spends in scope.
func (b *snapshot) exact(ctx context.Context, s scope) ([]Finding, error) {
	return b.named(ctx, s, exactLines, exactItems, exactCalls, exactRefunds)
}

func (b *snapshot) named(ctx context.Context, s scope, queries ...string) ([]Finding, error) {
	var found []Finding
	for _, query := range queries {
		var list []Finding
		if err := sqlx.SelectContext(ctx, b.tx, &list, s.in(query)); err != nil {
			return nil, fmt.Errorf("audit spends one by one: %w", err)
		}
		found = append(found, list...)
	}
	return found, nil
}
