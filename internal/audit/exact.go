package audit

import (
	"context"
	"fmt"
	"slices"
)

// exactLines compares the lines that the spends in scope ask for with those that are
// there, one by one. A spend that an operator took back has a fulfil and a reclaim
// more than its state tells; where that was given up, a reclaim and a keep.
const exactLines = `WITH want AS (
		SELECT s.id AS spend_id, line.kind, cost.key AS currency, s.app_user_id, s.state, cost.value::bigint AS amount
		FROM spends s, jsonb_each_text(s.cost) cost, LATERAL (SELECT unnest(CASE
			WHEN s.kind = 'grant' AND s.state = 'fulfilled' THEN '{grant}'::text[]
			WHEN s.kind = 'grant' THEN '{}'
			WHEN s.state = 'charged' THEN '{charge}'
			WHEN s.state = 'fulfilled' THEN '{charge,fulfil}'::text[]
				|| CASE WHEN EXISTS (SELECT FROM ledger_entries r WHERE r.spend_id = s.id AND r.kind IN ('reclaim', 'keep')) THEN '{reclaim,keep}'::text[] ELSE '{}' END
			WHEN s.state IN ('refunding', 'refunded') THEN '{charge}'::text[]
				|| CASE WHEN EXISTS (SELECT FROM ledger_entries r WHERE r.spend_id = s.id AND r.kind = 'reclaim') THEN '{fulfil,reclaim}'::text[] ELSE '{}' END
				|| CASE WHEN s.state = 'refunded' THEN '{refund}'::text[] ELSE '{}' END
			ELSE '{}' END) AS kind) line
		WHERE {s.id}),
	have AS (
		SELECT l.spend_id, l.kind, l.currency, l.app_user_id, l.amount, l.debit, l.credit, s.state, s.app_user_id AS player,
			count(*) OVER (PARTITION BY l.spend_id, l.kind, l.currency) AS copies
		FROM ledger_entries l LEFT JOIN spends s ON s.id = l.spend_id WHERE {l.spend_id})
	SELECT spend_id::text AS subject, kind AS line, currency, coalesce(w.app_user_id, h.app_user_id) AS app_user_id,
		coalesce(h.amount * copies, 0) - coalesce(w.amount, 0) AS units, CASE
			WHEN copies > 1 THEN 'line_extra' WHEN h.amount IS NULL THEN 'line_missing' WHEN w.amount IS NULL AND h.state IS NULL THEN 'line_orphan' WHEN w.amount IS NULL THEN 'line_extra'
			WHEN w.amount <> h.amount THEN 'line_amount' WHEN w.app_user_id <> h.app_user_id THEN 'line_player' ELSE 'line_accounts' END AS kind,
		CASE WHEN copies > 1 THEN format('is %s and has %s lines that are a %s of %s', coalesce(h.state, 'not there'), copies, kind, currency)
			WHEN h.amount IS NULL THEN format('is %s and lacks its %s of %s %s', w.state, kind, w.amount, currency)
			WHEN w.amount IS NULL AND h.state IS NULL THEN format('does not exist, and has a %s of %s %s', kind, h.amount, currency)
			WHEN w.amount IS NULL THEN format('is %s and has a %s of %s %s', h.state, kind, h.amount, currency)
			WHEN w.amount <> h.amount THEN format('its %s is %s %s and should be %s', kind, h.amount, currency, w.amount)
			WHEN w.app_user_id <> h.app_user_id THEN format('its %s of %s %s stands in the books of player %s', kind, h.amount, currency, h.app_user_id)
			ELSE format('its %s of %s %s goes from %s to %s', kind, h.amount, currency, h.debit, h.credit) END AS detail
	FROM want w FULL JOIN have h USING (spend_id, kind, currency)
	WHERE copies > 1 OR w.amount IS DISTINCT FROM h.amount OR w.app_user_id <> h.app_user_id
		OR (kind, h.debit, h.credit) NOT IN (('charge', 'wallet', 'in_flight'), ('fulfil', 'in_flight', 'sink'), ('refund', 'in_flight', 'wallet'),
			('reclaim', 'sink', 'in_flight'), ('keep', 'in_flight', 'sink'), ('grant', 'issuance', 'wallet'))`

// exactItems compares the items of fulfilled spends with those in the inventory.
const exactItems = `SELECT coalesce(s.id, g.spend_id)::text AS subject, coalesce(s.item, g.item) AS line, '' AS currency,
		coalesce(s.app_user_id, g.app_user_id) AS app_user_id, coalesce(g.quantity, 0) - coalesce(s.quantity, 0) AS units,
		CASE WHEN g.spend_id IS NULL THEN 'item_missing' ELSE 'item_extra' END AS kind,
		CASE WHEN g.spend_id IS NULL THEN format('is fulfilled, and its %s x %s are not in the inventory', s.quantity, s.item)
			WHEN s.id IS NULL THEN format('is not fulfilled, and %s x %s are in the inventory', g.quantity, g.item)
			ELSE format('%s x %s are in the inventory of player %s and should be %s x %s', g.quantity, g.item, g.app_user_id, s.quantity, s.item) END AS detail
	FROM (SELECT s.* FROM spends s JOIN (SELECT version, i.key AS item FROM catalog_versions c, jsonb_each(c.body -> 'items') i WHERE i.value -> 'hand_over' ->> 'port' = 'inventory') c
			ON c.version = s.catalog_version AND c.item = s.item
		WHERE s.kind = 'spend' AND s.state = 'fulfilled' AND {s.id}) s
	FULL JOIN (SELECT g.* FROM inventory_grants g WHERE g.revoked_at IS NULL AND {g.spend_id}) g ON g.spend_id = s.id
	WHERE (s.app_user_id, s.item, s.quantity) IS DISTINCT FROM (g.app_user_id, g.item, g.quantity)`

// exactCalls names the spends without a call at the provider that was applied.
const exactCalls = `SELECT s.id::text AS subject, 'adjustment' AS line, '' AS currency, s.app_user_id, 0 AS units, 'not_applied' AS kind,
		format('is %s, and %s', s.state, CASE WHEN a.id IS NULL THEN 'no call at the provider is on record for it'
			WHEN a.state <> 'applied' THEN 'its call at the provider is ' || a.state ELSE 'its call at the provider was for something else' END) AS detail
	FROM spends s LEFT JOIN LATERAL (SELECT a.id, a.state, a.purpose, a.app_user_id FROM adjustments a WHERE a.id = s.adjustment_id OFFSET 0) a ON true
	WHERE {s.id} AND ` + notApplied

// exactRefunds names the refunded spends that not exactly one call gave back, to their
// player and as much as they cost, and those that one gave back though they are not
// refunded.
const exactRefunds = `SELECT coalesce(s.id, r.spend_id)::text AS subject, 'refund' AS line, '' AS currency, coalesce(s.app_user_id, r.player) AS app_user_id, 0 AS units, 'not_applied' AS kind,
		CASE WHEN s.id IS NULL OR r.applied IS DISTINCT FROM 1 THEN format('is %srefunded, and %s calls that give it back were applied', CASE WHEN s.id IS NULL THEN 'not ' END, coalesce(r.applied, 0))
			ELSE format('costs %s, and the call that gave it back moved %s of player %s', s.cost, r.deltas, r.player) END AS detail
	FROM (SELECT s.id, s.app_user_id, s.cost FROM spends s WHERE {s.id} AND s.kind = 'spend' AND s.state = 'refunded') s
	FULL JOIN (SELECT r.spend_id, count(*) AS applied, min(r.app_user_id) AS player, min(r.deltas::text)::jsonb AS deltas FROM adjustments r
		WHERE {r.spend_id} AND r.spend_id IS NOT NULL AND r.purpose = 'refund' AND r.state = 'applied' GROUP BY r.spend_id) r ON r.spend_id = s.id
	WHERE (s.id IS NOT NULL AND r.applied = 1 AND r.player = s.app_user_id AND r.deltas = s.cost) IS NOT TRUE`

// exactReclaims names the spends that were taken back without an act of an operator.
const exactReclaims = `SELECT l.spend_id::text AS subject, l.kind AS line, l.currency, l.app_user_id, 0 AS units, 'act_missing' AS kind,
		'was taken back, and no act of an operator tells by whom' AS detail
	FROM ledger_entries l WHERE {l.spend_id} AND l.kind = 'reclaim'
		AND NOT EXISTS (SELECT FROM operator_acts o WHERE o.subject = l.spend_id::text AND o.app_user_id = l.app_user_id AND o.deed = 'spend.refund')`

// exact names everything that is wrong with the spends in scope and their calls.
func (b *snapshot) exact(ctx context.Context, s scope) ([]Finding, error) {
	lines, err := b.exactOfLines(ctx, s)
	if err != nil {
		return nil, err
	}
	spends, err := b.named(ctx, s, exactCalls)
	if err != nil {
		return nil, err
	}
	calls, err := b.exactOfCalls(ctx, s)
	return slices.Concat(lines, spends, calls), err
}

// exactOfLines names everything that is wrong with the lines, items and costs of the
// spends in scope.
func (b *snapshot) exactOfLines(ctx context.Context, s scope) ([]Finding, error) {
	found, err := b.named(ctx, s, exactLines, exactItems, exactReclaims)
	if err != nil {
		return nil, err
	}
	costs, err := b.costs(ctx, s)
	return slices.Concat(found, costs), err
}

// exactOfCalls names everything that is wrong with the calls in scope.
func (b *snapshot) exactOfCalls(ctx context.Context, s scope) ([]Finding, error) {
	found, err := b.named(ctx, s, exactRefunds)
	if err != nil {
		return nil, err
	}
	sums, err := b.callSums(ctx, s)
	if err != nil {
		return nil, err
	}
	bodies, err := b.bodies(ctx, s)
	return slices.Concat(found, sums, bodies), err
}

func (b *snapshot) named(ctx context.Context, s scope, queries ...string) ([]Finding, error) {
	var found []Finding
	for _, query := range queries {
		var list []Finding
		if err := b.read(ctx, s, &list, query); err != nil {
			return nil, fmt.Errorf("audit spends one by one: %w", err)
		}
		found = append(found, list...)
	}
	return found, nil
}
