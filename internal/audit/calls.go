package audit

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/internal/books"
)

// callsQuery names the calls of a part whose spends in that part do not come to what
// they moved. Some of them have spends in another part.
const callsQuery = `WITH spent AS (
		SELECT s.adjustment_id AS id, s.app_user_id, k.key AS currency, sum(CASE s.kind WHEN 'grant' THEN k.value::bigint ELSE -k.value::bigint END) AS units
		FROM spends s, jsonb_each_text(s.cost) k WHERE {s.id} AND s.adjustment_id IS NOT NULL AND s.state NOT IN ('requested', 'declined') GROUP BY s.adjustment_id, s.app_user_id, k.key),
	called AS (SELECT a.id, a.app_user_id, k.key AS currency, k.value::bigint AS units FROM adjustments a, jsonb_each_text(a.deltas) k WHERE {a.id} AND a.state = 'applied' AND a.purpose <> 'refund')
	SELECT DISTINCT id::text FROM called c FULL JOIN spent s USING (id, app_user_id, currency) WHERE c.units IS DISTINCT FROM s.units`

// exactCallSums names the calls in scope that were applied with another sum than all
// spends bound to them come to. A call's spends are its player's.
const exactCallSums = `WITH a AS (SELECT a.id, a.app_user_id, a.deltas FROM adjustments a WHERE {a.id} AND a.state = 'applied' AND a.purpose <> 'refund'),
	spent AS (
		SELECT a.id, k.key AS currency, sum(CASE s.kind WHEN 'grant' THEN k.value::bigint ELSE -k.value::bigint END) AS units
		FROM a JOIN spends s ON s.app_user_id = a.app_user_id AND s.adjustment_id = a.id, jsonb_each_text(s.cost) k
		WHERE s.state NOT IN ('requested', 'declined') GROUP BY a.id, k.key),
	called AS (SELECT a.id, k.key AS currency, k.value::bigint AS units FROM a, jsonb_each_text(a.deltas) k)
	SELECT 'not_bound' AS kind, id::text AS subject, 'adjustment' AS line, currency, a.app_user_id, (coalesce(c.units, 0) - coalesce(s.units, 0))::bigint AS units,
		format('the provider was told %s %s by this call, its spends come to %s', coalesce(c.units, 0), currency, coalesce(s.units, 0)) AS detail
	FROM called c FULL JOIN spent s USING (id, currency) JOIN a USING (id)
	WHERE coalesce(c.units, 0) <> coalesce(s.units, 0)`

// callSums names the calls in scope, and those of the spends in scope, whose sums are
// not those of their spends.
func (b *snapshot) callSums(ctx context.Context, s scope) ([]Finding, error) {
	var suspects []string
	if err := b.read(ctx, s, &suspects, callsQuery); err != nil {
		return nil, fmt.Errorf("audit calls: %w", err)
	}
	if len(suspects) == 0 {
		return nil, nil
	}
	return b.named(ctx, scope{calls: suspects}, exactCallSums)
}

// sentQuery groups the calls that were applied by what they moved and what was sent.
const sentQuery = `SELECT a.purpose, a.deltas, ` + sent + ` AS sent, count(*) AS n FROM adjustments a
	WHERE {a.id} AND a.state = 'applied' GROUP BY a.purpose, a.deltas, ` + sent

// notSent names the calls of such a group.
const notSent = `SELECT 'not_sent' AS kind, a.id::text AS subject, 'adjustment' AS line, '' AS currency, a.app_user_id, 0 AS units,
		format('is on record with %s, and what was sent begins with %s', a.deltas, $2::text) AS detail
	FROM adjustments a WHERE {a.id} AND a.state = 'applied' AND a.deltas = $1::jsonb AND ` + sent + ` = $2`

// bodies names the calls in scope whose stored body says something else than they are
// on record with.
func (b *snapshot) bodies(ctx context.Context, s scope) ([]Finding, error) {
	var groups []callsGroup
	if err := b.read(ctx, s, &groups, sentQuery); err != nil {
		return nil, fmt.Errorf("audit bodies of calls: %w", err)
	}
	var found []Finding
	for _, g := range groups {
		deltas, err := books.DecodeAmounts(g.Deltas)
		if err != nil {
			return nil, fmt.Errorf("audit bodies of calls: %w", err)
		}
		if sentSame(g.Sent, deltas) {
			continue
		}
		var list []Finding
		if err := b.read(ctx, s, &list, notSent, string(g.Deltas), g.Sent); err != nil {
			return nil, fmt.Errorf("audit bodies of calls: %w", err)
		}
		found = append(found, list...)
	}
	return found, nil
}
