package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Line is one line of a player's books, with what caused it.
type Line struct {
	At       time.Time        `db:"at" json:"at"` // when it was entered; of the provider's movements: when they happened
	Currency economy.Currency `db:"currency" json:"currency"`
	Kind     string           `db:"kind" json:"kind"`
	Debit    string           `db:"debit" json:"debit"`
	Credit   string           `db:"credit" json:"credit"`
	Amount   int64            `db:"amount" json:"amount"`
	Change   int64            `db:"change" json:"change"` // of the wallet
	Balance  int64            `db:"-" json:"balance"`     // of the wallet by our books, after this line
	CauseID  string           `db:"cause_id" json:"cause_id"`
	Cause    string           `db:"cause" json:"cause"`
}

// Held is what a player holds in one currency, by our books and by the provider.
type Held struct {
	Currency economy.Currency `json:"currency"`
	Books    int64            `json:"books"`
	Provider *int64           `json:"provider"` // our copy of the provider's word; null: never read
	AsOf     *time.Time       `json:"as_of"`    // when the call began that read it
	Sum
}

// Page is one player's page.
type Page struct {
	At         time.Time `json:"at"`
	AppUserIDs []string  `json:"app_user_ids"` // of the customer
	Lines      []Line    `json:"lines"`
	Held       []Held    `json:"held"`
	Open       []Open    `json:"open"`
	Wrong      []Finding `json:"wrong"`
}

// pageQuery reads a player's lines in the order in which they happened. Those of
// spends are found by their spends.
const pageQuery = `SELECT at, currency, kind, debit, credit, amount, cause_id, cause,
		CASE WHEN debit = credit THEN 0 WHEN credit = 'wallet' THEN amount WHEN debit = 'wallet' THEN -amount ELSE 0 END AS change
	FROM (SELECT l.entered_at AS at, l.currency, l.kind, l.debit, l.credit, l.amount, s.id::text AS cause_id, 1 AS part,
			CASE s.kind WHEN 'grant' THEN 'grant: ' || s.note ELSE format('%s x %s, %s', s.quantity, s.item, s.state) END AS cause
		FROM spends s JOIN ledger_entries l ON l.spend_id = s.id WHERE s.app_user_id = ANY($1)
		UNION ALL
		SELECT m.moved_at, m.currency, m.kind, m.debit, m.credit, m.amount, m.movement_id, 2,
			CASE WHEN m.adjustment_id IS NOT NULL THEN 'told again: our adjustment ' || m.adjustment_id
				ELSE concat_ws(' ', m.source, nullif(m.environment, 'production'), nullif(m.store, ''), nullif(m.product_id, ''), nullif(m.transaction_id, '')) END
		FROM provider_movements m WHERE m.app_user_id = ANY($1)
		UNION ALL
		SELECT c.entered_at, c.currency, c.kind, c.debit, c.credit, c.amount, c.run_id::text, 3, format('corrected by %s: %s', c.entered_by, c.reason)
		FROM ledger_corrections c WHERE c.app_user_id = ANY($1)) l
	ORDER BY at, part, cause_id, CASE kind WHEN 'charge' THEN 1 WHEN 'fulfil' THEN 2 WHEN 'reclaim' THEN 3 WHEN 'keep' THEN 4 ELSE 5 END, currency`

// Player reads the page of a customer, who has these ids. Nothing is changed.
func Player(ctx context.Context, db *sqlx.DB, appUserIDs []string) (Page, error) {
	b, err := take(ctx, db)
	if err != nil {
		return Page{}, err
	}
	defer b.release()
	page := Page{At: b.at, AppUserIDs: appUserIDs, Lines: []Line{}, Held: []Held{}, Open: []Open{}, Wrong: []Finding{}}
	ids := postgres.Array(appUserIDs)
	if err := b.tx.SelectContext(ctx, &page.Lines, pageQuery, ids); err != nil {
		return Page{}, fmt.Errorf("read the player's lines: %w", err)
	}
	if err := b.tx.SelectContext(ctx, &page.Open, `SELECT `+openColumns+` FROM adjustments
		WHERE app_user_id = ANY($1) AND state IN ('open', 'unknown') AND settled_at IS NULL ORDER BY seq`, ids); err != nil {
		return Page{}, fmt.Errorf("read the player's open calls: %w", err)
	}
	var spends []string
	if err := b.tx.SelectContext(ctx, &spends, `SELECT id FROM spends WHERE app_user_id = ANY($1)`, ids); err != nil {
		return Page{}, fmt.Errorf("read the player's spends: %w", err)
	}
	wrong, err := b.exact(ctx, someOf(spends))
	if err != nil {
		return Page{}, err
	}
	page.Wrong = append(page.Wrong, sorted(wrong)...)
	err = b.held(ctx, &page)
	return page, err
}

// held sums the page, and adds what the provider said.
func (b *snapshot) held(ctx context.Context, page *Page) error {
	at := map[economy.Currency]int{}
	of := func(currency economy.Currency) *Held {
		if _, ok := at[currency]; !ok {
			at[currency] = len(page.Held)
			page.Held = append(page.Held, Held{Currency: currency})
		}
		return &page.Held[at[currency]]
	}
	for i, line := range page.Lines {
		held := of(line.Currency)
		held.Books += line.Change
		held.add(line.Kind, line.Amount)
		page.Lines[i].Balance = held.Books
	}
	// One customer has one balance; the newest reading of any of its ids is it.
	var balances []struct {
		Currency economy.Currency `db:"currency"`
		Balance  int64            `db:"balance"`
		AsOf     time.Time        `db:"as_of"`
	}
	if err := b.tx.SelectContext(ctx, &balances, `SELECT DISTINCT ON (currency) currency, balance, as_of FROM balances
		WHERE app_user_id = ANY($1) ORDER BY currency, as_of DESC`, postgres.Array(page.AppUserIDs)); err != nil {
		return fmt.Errorf("read the copy of balances: %w", err)
	}
	for _, balance := range balances {
		held := of(balance.Currency)
		held.Provider, held.AsOf = &balance.Balance, &balance.AsOf
	}
	var flying []struct {
		Currency economy.Currency `db:"currency"`
		Units    int64            `db:"units"`
	}
	if err := b.tx.SelectContext(ctx, &flying, `SELECT c.key AS currency, sum(c.value::bigint)::bigint AS units FROM spends s, jsonb_each_text(s.cost) c
		WHERE s.app_user_id = ANY($1) AND s.kind = 'spend' AND s.state IN ('charged', 'refunding') GROUP BY c.key`, postgres.Array(page.AppUserIDs)); err != nil {
		return fmt.Errorf("read what is in flight: %w", err)
	}
	for _, one := range flying {
		of(one.Currency).InFlight += one.Units
	}
	return nil
}
