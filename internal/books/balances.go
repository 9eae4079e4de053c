package books

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// balanceRow keeps what the provider's answer to our own adjustment said. While
// one adjustment of a player is open no other reading counts, so this one is the
// newest.
type balanceRow struct {
	appUserID string
	currency  economy.Currency
	balance   economy.Amount
	asOf      time.Time
}

var balanceKind = &outbox.Kind{
	Name: "balance",
	Columns: []outbox.Column{
		{Name: "app_user_id", Type: "text"}, {Name: "currency", Type: "text"}, {Name: "balance", Type: "bigint"}, {Name: "as_of", Type: "timestamptz"},
	},
	Steps: []outbox.Step{{Name: "upsert", SQL: `INSERT INTO balances AS b (app_user_id, currency, balance, as_of)
		SELECT r.app_user_id, r.currency, r.balance, r.as_of FROM {rows} r
		ON CONFLICT (app_user_id, currency) DO UPDATE SET balance = excluded.balance, as_of = excluded.as_of
		WHERE b.as_of < excluded.as_of`}},
}

func (r balanceRow) Kind() *outbox.Kind { return balanceKind }

func (r balanceRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.appUserID)
	c.Text(string(r.currency))
	c.Int(int64(r.balance))
	c.Time(r.asOf)
}

// AnsweredBalances returns the rows that keep the balances a settled adjustment
// answered with. asOf is when the answered call started. The Effects must touch
// PlayerKey, since two rows of one player cannot be in one statement.
func AnsweredBalances(appUserID string, balances economy.Amounts, asOf time.Time) []outbox.Row {
	rows := make([]outbox.Row, 0, len(balances))
	for _, currency := range balances.Currencies() {
		rows = append(rows, balanceRow{appUserID, currency, balances[currency], asOf})
	}
	return rows
}

// PlayerKey is what every step that changes a player's own rows touches.
func PlayerKey(appUserID string) string { return "player:" + appUserID }

// Balance is our copy of one balance at the provider.
type Balance struct {
	Currency economy.Currency `db:"currency"`
	Balance  economy.Amount   `db:"balance"`
	AsOf     time.Time        `db:"as_of"`
}

// Balances returns our copy of a player's balances, sorted by currency; none for
// a player never read.
func (b *Books) Balances(ctx context.Context, appUserID string) ([]Balance, error) {
	var list []Balance
	err := b.db.SelectContext(ctx, &list,
		"SELECT currency, balance, as_of FROM balances WHERE app_user_id = $1 ORDER BY currency", appUserID)
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	return list, nil
}

// KeepReading stores balances read from the provider by a call that started at
// asOf. A reading replaces another only if its call started later and no
// adjustment of ours was open meanwhile: otherwise it may already be old, and is
// dropped without an error.
func (b *Books) KeepReading(ctx context.Context, appUserID string, balances economy.Amounts, asOf time.Time) error {
	codes, amounts := []string{}, []int64{}
	for _, currency := range balances.Currencies() {
		codes, amounts = append(codes, string(currency)), append(amounts, int64(balances[currency]))
	}
	_, err := b.db.ExecContext(ctx, `
		INSERT INTO balances AS b (app_user_id, currency, balance, as_of)
		SELECT $1, r.currency, r.balance, $4 FROM unnest($2::text[], $3::bigint[]) AS r(currency, balance)
		WHERE NOT EXISTS (SELECT FROM (SELECT state, settled_at FROM adjustments WHERE app_user_id = $1 ORDER BY nth DESC LIMIT 16) a
				WHERE a.state = 'open' OR a.settled_at > $4)
			AND NOT EXISTS (SELECT FROM adjustments a WHERE a.app_user_id = $1 AND a.unknown_since IS NOT NULL
				AND (a.state = 'unknown' AND a.leased_until > now() OR a.settled_at > $4))
		ON CONFLICT (app_user_id, currency) DO UPDATE SET balance = excluded.balance, as_of = excluded.as_of
		WHERE b.as_of < excluded.as_of`, appUserID, postgres.Array(codes), postgres.Array(amounts), asOf)
	if err != nil {
		return fmt.Errorf("keep balances: %w", err)
	}
	return nil
}
