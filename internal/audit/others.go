package audit

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// callsQuery sums what the calls that were applied took and gave. A player's calls
// are summed by their sums, since most are alike.
const callsQuery = `SELECT purpose, deltas, count(*) AS calls FROM adjustments WHERE state = 'applied' GROUP BY purpose, deltas`

// refundsQuery counts the refunds that were applied. Where each is of another spend,
// all those are refunded, and there are as many, no refunded spend lacks one.
const refundsQuery = `SELECT count(*) AS applied, count(*) - count(DISTINCT a.spend_id) + count(*) FILTER (WHERE s.state IS DISTINCT FROM 'refunded') AS wrong
	FROM adjustments a LEFT JOIN spends s ON s.id = a.spend_id WHERE a.spend_id IS NOT NULL AND a.state = 'applied'`

// exactCallSums names the charges that were applied with another sum than that of the
// spends bound to them.
const exactCallSums = `WITH spent AS (
		SELECT s.adjustment_id AS id, c.key AS currency, sum(c.value::bigint) * CASE s.kind WHEN 'grant' THEN 1 ELSE -1 END AS units
		FROM spends s, jsonb_each_text(s.cost) c WHERE s.adjustment_id IS NOT NULL AND s.state NOT IN ('requested', 'declined') GROUP BY s.adjustment_id, c.key, s.kind
		UNION ALL
		SELECT r.id, c.key, c.value::bigint FROM spends s JOIN adjustments r ON r.spend_id = s.id AND r.purpose = 'refund', jsonb_each_text(s.cost) c WHERE s.state = 'refunded'),
	called AS (SELECT a.id, d.key AS currency, d.value::bigint AS units FROM adjustments a, jsonb_each_text(a.deltas) d WHERE a.state = 'applied')
	SELECT 'not_bound' AS kind, id::text AS subject, 'adjustment' AS line, currency, a.app_user_id, coalesce(c.units, 0) - coalesce(s.units, 0) AS units,
		format('the provider was told %s %s by this call, its spends come to %s', coalesce(c.units, 0), currency, coalesce(s.units, 0)) AS detail
	FROM called c FULL JOIN spent s USING (id, currency) JOIN adjustments a USING (id)
	WHERE a.state = 'applied' AND coalesce(c.units, 0) <> coalesce(s.units, 0)`

// calls holds the sums of all calls against those of the ledger. Only where they
// differ are the calls looked at one by one.
func (b *snapshot) calls(ctx context.Context, r *Report) error {
	var refunds struct {
		Applied int64 `db:"applied"`
		Wrong   int64 `db:"wrong"`
	}
	if err := b.tx.GetContext(ctx, &refunds, refundsQuery); err != nil {
		return fmt.Errorf("audit refunds: %w", err)
	}
	if refunds.Wrong != 0 || refunds.Applied != r.refunds {
		if err := b.findings(ctx, r, scope{}.in(exactRefunds)); err != nil {
			return err
		}
	}
	var groups []struct {
		Purpose string `db:"purpose"`
		Deltas  []byte `db:"deltas"`
		Calls   int64  `db:"calls"`
	}
	if err := b.tx.SelectContext(ctx, &groups, callsQuery); err != nil {
		return fmt.Errorf("audit calls: %w", err)
	}
	type of struct {
		purpose  string
		currency economy.Currency
	}
	sums := map[of]int64{}
	for _, g := range groups {
		deltas, err := books.DecodeAmounts(g.Deltas)
		if err != nil {
			return fmt.Errorf("audit calls: %w", err)
		}
		for currency, amount := range deltas {
			sums[of{g.Purpose, currency}] += int64(amount) * g.Calls
		}
	}
	for currency, sum := range r.Currencies {
		sums[of{"charge", currency}] += sum.Charged
		sums[of{"refund", currency}] -= sum.Refunded
		sums[of{"grant", currency}] -= sum.Granted
	}
	for _, off := range sums {
		if off != 0 {
			return b.findings(ctx, r, exactCallSums)
		}
	}
	return nil
}

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
	FROM provider_movements m LEFT JOIN adjustments a ON a.id = m.adjustment_id
	WHERE m.amount <= 0 OR (m.kind, m.debit, m.credit) NOT IN (('store_credit', 'store', 'wallet'), ('store_removal', 'wallet', 'store'),
			('provider_credit', 'issuance', 'wallet'), ('provider_removal', 'wallet', 'issuance'), ('own_seen', 'wallet', 'wallet'))
		OR m.kind = 'own_seen' AND (a.state = 'applied' AND abs((a.deltas ->> m.currency)::bigint) = m.amount) IS NOT TRUE`

func (b *snapshot) movements(ctx context.Context, r *Report) error {
	if err := b.tx.GetContext(ctx, &r.Moved, "SELECT count(*) FROM provider_movements"); err != nil {
		return fmt.Errorf("audit movements: %w", err)
	}
	return b.findings(ctx, r, movementsQuery)
}

// correctionsQuery names the corrections that do not lead from before to after.
const correctionsQuery = `SELECT 'correction_sums' AS kind, run_id::text AS subject, kind AS line, currency, app_user_id,
		CASE credit WHEN 'wallet' THEN amount ELSE -amount END - (ledger_after - ledger_before) AS units,
		format('%s of %s from %s to %s leads from %s to %s', kind, amount, debit, credit, ledger_before, ledger_after) AS detail
	FROM ledger_corrections
	WHERE ledger_after - ledger_before <> CASE credit WHEN 'wallet' THEN amount ELSE -amount END
		OR (kind, debit, credit) NOT IN (('correction_credit', 'drift', 'wallet'), ('correction_debit', 'wallet', 'drift'))`

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
			(coalesce(sum(amount) FILTER (WHERE kind = 'fulfil'), 0) - coalesce(sum(amount) FILTER (WHERE kind = 'reclaim'), 0))::bigint AS fulfilled,
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
