package reconcile

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	tables "github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// books is what our books say of one customer at one moment.
type books struct {
	wallet economy.Amounts
	calls  int64  // bound ever
	lines  int64  // of the ledger
	open   string // the first call without an outcome; empty: there is none
}

// booksQuery reads the wallet and what is under way, in one snapshot. Lines of spends
// are found by their spends.
const booksQuery = `WITH lines AS (
		SELECT l.currency, l.debit, l.credit, l.amount FROM spends s JOIN ledger_entries l ON l.spend_id = s.id WHERE s.app_user_id = ANY($1)
		UNION ALL SELECT currency, debit, credit, amount FROM provider_movements WHERE app_user_id = ANY($1)
		UNION ALL SELECT currency, debit, credit, amount FROM ledger_corrections WHERE app_user_id = ANY($1)),
	sums AS (SELECT currency, sum(CASE WHEN debit = credit THEN 0 WHEN credit = 'wallet' THEN amount WHEN debit = 'wallet' THEN -amount ELSE 0 END)::bigint AS units FROM lines GROUP BY currency)
	SELECT (SELECT jsonb_object_agg(currency, units) FROM sums) AS wallet, (SELECT count(*) FROM lines) AS lines,
		(SELECT count(*) FROM adjustments WHERE app_user_id = ANY($1)) AS calls,
		coalesce((SELECT format('a %s of %s has no outcome yet', purpose, deltas) FROM adjustments WHERE app_user_id = ANY($1) AND settled_at IS NULL ORDER BY seq LIMIT 1), '') AS open`

func readBooks(ctx context.Context, db sqlx.QueryerContext, ids []string) (books, error) {
	var row struct {
		Wallet []byte `db:"wallet"`
		Lines  int64  `db:"lines"`
		Calls  int64  `db:"calls"`
		Open   string `db:"open"`
	}
	if err := sqlx.GetContext(ctx, db, &row, booksQuery, postgres.Array(ids)); err != nil {
		return books{}, fmt.Errorf("read our books: %w", err)
	}
	b := books{wallet: economy.Amounts{}, calls: row.Calls, lines: row.Lines, open: row.Open}
	if row.Wallet == nil {
		return b, nil
	}
	var err error
	if b.wallet, err = tables.DecodeAmounts(row.Wallet); err != nil {
		return books{}, fmt.Errorf("read our books: %w", err)
	}
	return b, nil
}

// same reports whether nothing was written between two readings.
func (b books) same(o books) bool {
	return b.calls == o.calls && b.lines == o.lines && b.open == o.open && b.wallet.Equal(o.wallet)
}

// owedQuery finds movements of a customer that were told and are not in our books yet.
const owedQuery = `SELECT EXISTS (SELECT FROM outbox WHERE consumer = 'mirror' AND payload ->> 'subject' = ANY($1))
	OR EXISTS (SELECT FROM dead_letters d, unnest($1::text[]) i WHERE d.consumer = 'mirror' AND d.resolved_at IS NULL
		AND position(convert_to('"subject":' || to_json(i)::text, 'UTF8') IN d.payload) > 0)`
