package books

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("not found")

// Books reads what was written down. It is safe for concurrent use.
type Books struct{ db *sqlx.DB }

// New returns the books kept in db.
func New(db *sqlx.DB) *Books { return &Books{db: db} }

// SpendColumns lists the columns that SpendRow reads.
const SpendColumns = `id, app_user_id, idempotency_key, item, quantity, cost, catalog_version, state, reason,
	held, limited, unknown_since, needs_operator, adjustment_id, accepted_at, charged_at, finished_at, kind, note, revoked_at`

// SpendRow is a row of spends as sqlx reads it with SpendColumns. Every field may
// be null, so that it can stand on the outer side of a join.
type SpendRow struct {
	ID             sql.NullString `db:"id"`
	AppUserID      sql.NullString `db:"app_user_id"`
	IdempotencyKey sql.NullString `db:"idempotency_key"`
	Item           sql.NullString `db:"item"`
	Quantity       sql.NullInt64  `db:"quantity"`
	Cost           []byte         `db:"cost"`
	CatalogVersion sql.NullInt64  `db:"catalog_version"`
	State          sql.NullString `db:"state"`
	Reason         sql.NullString `db:"reason"`
	Held           sql.NullBool   `db:"held"`
	Limited        sql.NullBool   `db:"limited"`
	UnknownSince   sql.NullTime   `db:"unknown_since"`
	NeedsOperator  sql.NullString `db:"needs_operator"`
	AdjustmentID   sql.NullString `db:"adjustment_id"`
	AcceptedAt     sql.NullTime   `db:"accepted_at"`
	ChargedAt      sql.NullTime   `db:"charged_at"`
	FinishedAt     sql.NullTime   `db:"finished_at"`
	Kind           sql.NullString `db:"kind"`
	Note           sql.NullString `db:"note"`
	RevokedAt      sql.NullTime   `db:"revoked_at"`
}

// Columns are where a row with SpendColumns goes, in their order.
func (r *SpendRow) Columns() []any {
	return []any{
		&r.ID, &r.AppUserID, &r.IdempotencyKey, &r.Item, &r.Quantity, &r.Cost, &r.CatalogVersion, &r.State, &r.Reason,
		&r.Held, &r.Limited, &r.UnknownSince, &r.NeedsOperator, &r.AdjustmentID, &r.AcceptedAt, &r.ChargedAt, &r.FinishedAt, &r.Kind, &r.Note, &r.RevokedAt,
	}
}

// Missing reports whether the join found no spend.
func (r SpendRow) Missing() bool { return !r.ID.Valid }

// Spend returns the row as the noun it stores.
func (r SpendRow) Spend() (economy.Spend, error) {
	cost, err := DecodeAmounts(r.Cost)
	if err != nil {
		return economy.Spend{}, fmt.Errorf("spend %s: cost: %w", r.ID.String, err)
	}
	kind := economy.KindSpend
	if r.Kind.String == economy.KindGrant.String() {
		kind = economy.KindGrant
	}
	return economy.Spend{
		ID: r.ID.String, Kind: kind, Note: r.Note.String, AppUserID: r.AppUserID.String, IdempotencyKey: r.IdempotencyKey.String,
		Item: r.Item.String, Quantity: r.Quantity.Int64, Cost: cost, CatalogVersion: r.CatalogVersion.Int64,
		State: economy.State(r.State.String), Reason: economy.Reason(r.Reason.String),
		Held: r.Held.Bool, Limited: r.Limited.Bool, UnknownSince: r.UnknownSince.Time, NeedsOperator: r.NeedsOperator.String,
		AdjustmentID: r.AdjustmentID.String,
		AcceptedAt:   r.AcceptedAt.Time, ChargedAt: r.ChargedAt.Time, FinishedAt: r.FinishedAt.Time, RevokedAt: r.RevokedAt.Time,
	}, nil
}

// Spend returns one spend, or ErrNotFound. An id that is not a UUID is not found.
func (b *Books) Spend(ctx context.Context, id string) (economy.Spend, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return economy.Spend{}, ErrNotFound
	}
	return b.one(ctx, "SELECT "+SpendColumns+" FROM spends WHERE id = $1", parsed.String())
}

// SpendByKey returns the spend a player made under an idempotency key, or ErrNotFound.
func (b *Books) SpendByKey(ctx context.Context, appUserID, key string) (economy.Spend, error) {
	return b.one(ctx, "SELECT "+SpendColumns+" FROM spends WHERE app_user_id = $1 AND idempotency_key = $2", appUserID, key)
}

// Spends returns those of the ids that exist, in no order. One query, however
// many requests wait.
func (b *Books) Spends(ctx context.Context, ids []string) ([]economy.Spend, error) {
	return b.many(ctx, "SELECT "+SpendColumns+" FROM spends WHERE id = ANY($1::uuid[])", postgres.Array(ids))
}

func (b *Books) one(ctx context.Context, query string, args ...any) (economy.Spend, error) {
	var row SpendRow
	switch err := b.db.GetContext(ctx, &row, query, args...); {
	case errors.Is(err, sql.ErrNoRows):
		return economy.Spend{}, ErrNotFound
	case err != nil:
		return economy.Spend{}, fmt.Errorf("read spend: %w", err)
	}
	return row.Spend()
}

func (b *Books) many(ctx context.Context, query string, args ...any) ([]economy.Spend, error) {
	var rows []SpendRow
	if err := b.db.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("read spends: %w", err)
	}
	list := make([]economy.Spend, len(rows))
	for i, row := range rows {
		spend, err := row.Spend()
		if err != nil {
			return nil, err
		}
		list[i] = spend
	}
	return list, nil
}

// EncodeAmounts returns amounts in the JSON form of our tables.
func EncodeAmounts(amounts economy.Amounts) []byte {
	if len(amounts) == 1 {
		for currency, amount := range amounts {
			if currency.Validate() == nil { // nothing in it needs escaping
				raw := append(append([]byte(`{"`), currency...), `":`...)
				return append(strconv.AppendInt(raw, int64(amount), 10), '}')
			}
		}
	}
	raw, err := json.Marshal(amounts)
	if err != nil { // a map of strings to integers always encodes
		panic(err)
	}
	return raw
}

// DecodeAmounts reads amounts from our tables.
func DecodeAmounts(raw []byte) (economy.Amounts, error) {
	if currency, amount, ok := single(raw); ok {
		return economy.Amounts{currency: amount}, nil
	}
	var amounts economy.Amounts
	err := json.Unmarshal(raw, &amounts)
	return amounts, err
}

// single reads what nearly every price is: one amount of one currency. The decoder
// of encoding/json was a tenth of a worker's time.
func single(raw []byte) (economy.Currency, economy.Amount, bool) {
	rest, ok := bytes.CutPrefix(raw, []byte(`{"`))
	code, rest, ok2 := bytes.Cut(rest, []byte(`":`))
	number, ok3 := bytes.CutSuffix(bytes.TrimPrefix(rest, []byte(" ")), []byte("}"))
	if !ok || !ok2 || !ok3 || economy.Currency(code).Validate() != nil {
		return "", 0, false
	}
	amount, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || strconv.FormatInt(amount, 10) != string(number) { // +5 and 05 are not JSON
		return "", 0, false
	}
	return economy.Currency(code), economy.Amount(amount), true
}
