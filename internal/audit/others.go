package audit

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// findings adds what a query finds.
func (b *snapshot) findings(ctx context.Context, r *Report, query string) error {
	var list []Finding
	if err := b.tx.SelectContext(ctx, &list, query); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	r.Wrong = append(r.Wrong, list...)
	return nil
}

// movementsQuery names the provider's movements with wrong accounts, and those that
// are said to tell again of an adjustment of ours that did something else.
const movementsQuery = `SELECT 'movement_wrong' AS kind, m.movement_id AS subject, m.kind AS line, m.currency, m.app_user_id,
		CASE WHEN m.kind = 'own_seen' THEN m.amount - abs(coalesce((a.deltas ->> m.currency)::bigint, 0)) ELSE 0 END AS units,
		CASE WHEN m.kind = 'own_seen' THEN format('tells %s %s of adjustment %s, which %s', m.amount, m.currency, m.adjustment_id,
			coalesce(format('is %s and moved %s', a.state, coalesce((a.deltas ->> m.currency)::bigint, 0)), 'does not exist'))
			ELSE format('goes from %s to %s, amount %s', m.debit, m.credit, m.amount) END AS detail
	FROM provider_movements m LEFT JOIN LATERAL (SELECT a.state, a.deltas FROM adjustments a WHERE a.id = m.adjustment_id OFFSET 0) a ON true
	WHERE m.amount <= 0 OR (m.kind, m.debit, m.credit) NOT IN (('store_credit', 'store', 'wallet'), ('store_removal', 'wallet', 'store'),
			('provider_credit', 'issuance', 'wallet'), ('provider_removal', 'wallet', 'issuance'), ('own_seen', 'wallet', 'wallet'))
		OR m.kind = 'own_seen' AND (a.state = 'applied' AND abs((a.deltas ->> m.currency)::bigint) = m.amount) IS NOT TRUE`

func (b *snapshot) movements(ctx context.Context, r *Report) error {
	if err := b.tx.GetContext(ctx, &r.Moved, "SELECT count(*) FROM provider_movements"); err != nil {
		return fmt.Errorf("audit movements: %w", err)
	}
	return b.findings(ctx, r, movementsQuery)
}

// correctionsQuery names the corrections that do not lead from before to after, and
// those of which no operator's act says the same.
const correctionsQuery = `SELECT 'correction_sums' AS kind, run_id::text AS subject, kind AS line, currency, app_user_id,
		CASE credit WHEN 'wallet' THEN amount ELSE -amount END - (ledger_after - ledger_before) AS units,
		format('%s of %s from %s to %s leads from %s to %s%s', kind, amount, debit, credit, ledger_before, ledger_after,
			CASE WHEN acts = 0 THEN format(', and no act of an operator says that %s did so for the reason %s', entered_by, entered_for) END) AS detail
	FROM (SELECT c.*, c.reason AS entered_for, (SELECT count(*) FROM operator_acts o WHERE o.subject = 'reconcile:' || c.run_id AND o.app_user_id = c.app_user_id
			AND o.deed = 'ledger.correct' AND o.who = c.entered_by AND o.reason = c.reason AND o.before ->> 'currency' = c.currency
			AND o.before ->> 'wallet' = c.ledger_before::text AND o.after ->> 'wallet' = c.ledger_after::text) AS acts FROM ledger_corrections c) c
	WHERE acts = 0 OR ledger_after - ledger_before <> CASE credit WHEN 'wallet' THEN amount ELSE -amount END
		OR (kind, debit, credit) NOT IN (('correction_credit', 'drift', 'wallet'), ('correction_debit', 'wallet', 'drift'))
	UNION ALL
	SELECT 'correction_sums', o.subject, 'act', coalesce(o.before ->> 'currency', ''), o.app_user_id, 0, format('%s corrected the books for the reason %s, and no such line is there', o.who, o.reason)
	FROM operator_acts o WHERE o.deed = 'ledger.correct' AND NOT EXISTS (SELECT FROM ledger_corrections c
		WHERE 'reconcile:' || c.run_id = o.subject AND c.app_user_id = o.app_user_id AND c.currency = o.before ->> 'currency')`

func (b *snapshot) corrections(ctx context.Context, r *Report) error {
	if err := b.tx.GetContext(ctx, &r.Posted, "SELECT count(*) FROM ledger_corrections"); err != nil {
		return fmt.Errorf("audit corrections: %w", err)
	}
	return b.findings(ctx, r, correctionsQuery)
}

// offQuery sums the books of players.
const offQuery = `SELECT coalesce(l.app_user_id, f.app_user_id) AS app_user_id, coalesce(l.currency, f.currency) AS currency,
		coalesce(charged, 0) AS charged, coalesce(fulfilled, 0) AS fulfilled, coalesce(refunded, 0) AS refunded, coalesce(granted, 0) AS granted, coalesce(in_flight, 0) AS in_flight
	FROM (SELECT app_user_id, currency, coalesce(sum(amount) FILTER (WHERE kind = 'charge'), 0)::bigint AS charged,
			(coalesce(sum(amount) FILTER (WHERE kind IN ('fulfil', 'keep')), 0) - coalesce(sum(amount) FILTER (WHERE kind = 'reclaim'), 0))::bigint AS fulfilled,
			coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded, coalesce(sum(amount) FILTER (WHERE kind = 'grant'), 0)::bigint AS granted
		FROM ledger_entries WHERE app_user_id = ANY($1) GROUP BY app_user_id, currency) l
	FULL JOIN (SELECT s.app_user_id, c.key AS currency, sum(c.value::bigint)::bigint AS in_flight FROM spends s, jsonb_each_text(s.cost) c
		WHERE s.app_user_id = ANY($1) AND s.kind = 'spend' AND s.state IN ('charged', 'refunding') GROUP BY s.app_user_id, c.key) f
		ON f.app_user_id = l.app_user_id AND f.currency = l.currency
	ORDER BY 1, 2`

// offMax bounds the players whose sums are shown.
const offMax = 1000

// off sums the books of the players of whom something is wrong.
func (b *snapshot) off(ctx context.Context, r *Report) error {
	seen, players := map[string]bool{}, []string{}
	for _, f := range r.Wrong {
		if !seen[f.AppUserID] && len(players) < offMax {
			seen[f.AppUserID] = true
			players = append(players, f.AppUserID)
		}
	}
	if len(players) == 0 {
		return nil
	}
	var rows []struct {
		AppUserID string           `db:"app_user_id"`
		Currency  economy.Currency `db:"currency"`
		Charged   int64            `db:"charged"`
		Fulfilled int64            `db:"fulfilled"`
		Refunded  int64            `db:"refunded"`
		Granted   int64            `db:"granted"`
		InFlight  int64            `db:"in_flight"`
	}
	if err := b.tx.SelectContext(ctx, &rows, offQuery, postgres.Array(players)); err != nil {
		return fmt.Errorf("audit players: %w", err)
	}
	for _, row := range rows {
		sum := Sum{row.Charged, row.Fulfilled, row.Refunded, row.Granted, row.InFlight}
		if sum.Off() != 0 {
			r.Players = append(r.Players, Off{row.AppUserID, row.Currency, sum})
		}
	}
	return nil
}
