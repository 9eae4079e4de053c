package exports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// CurrencyRow is one row of the In-App Currency feed: one change of one balance, as
// the provider booked it. The feed is a full snapshot each time and tells no
// reference. One change may be several rows under one IdempotencyKey, of several
// currencies or of several lots of one: see LineKey.
type CurrencyRow struct {
	Row  int64 // as TransactionRow.Row
	Line int64 // as TransactionRow.Line

	AppUserID string   // the newest alias, else the original id
	Aliases   []string // as TransactionRow.Aliases

	Type     CurrencyRowType // an open set
	Currency economy.Currency
	Amount   economy.Amount  // signed, within economy.BalanceMax
	Balance  *economy.Amount // of the row's lot after the change, never below 0; nil: not told
	// IdempotencyKey is the key of the change; empty: not told. That it is word for word
	// the header of an API call is likely and not documented.
	IdempotencyKey string
	At             time.Time // when it happened
	UpdatedAt      time.Time // when the row last changed; zero: not told

	// Of a purchase or its refund only:
	Store         economy.Store
	Environment   economy.Environment
	TransactionID string // store_transaction_id as it stands; the feed tells no renewal number
	Product       string
}

// CurrencyRowType is why a balance changed: transaction_type in upper case.
type CurrencyRowType string

// The types that are documented.
const (
	CurrencyPurchase      CurrencyRowType = "PURCHASE"
	CurrencyDeduction     CurrencyRowType = "DEDUCTION"
	CurrencyGrant         CurrencyRowType = "GRANT"
	CurrencyRefundRemoval CurrencyRowType = "REFUND_REMOVAL"
	CurrencyExpiration    CurrencyRowType = "EXPIRATION"
	CurrencyOther         CurrencyRowType = "OTHER"
)

// LineKey is the same for the same row of a later snapshot, and differs for the rows
// that one change consists of: key, currency, balance afterwards and amount, as the
// provider advises, and where there is no key, the time and the transaction instead.
func (r CurrencyRow) LineKey() string {
	balance := "?"
	if r.Balance != nil {
		balance = strconv.FormatInt(int64(*r.Balance), 10)
	}
	line := []string{r.IdempotencyKey, string(r.Currency), balance, strconv.FormatInt(int64(r.Amount), 10)}
	if r.IdempotencyKey == "" {
		line = append(line, r.AppUserID, string(r.Type), strconv.FormatInt(r.At.UnixMicro(), 10), string(r.Store), r.TransactionID)
	}
	return economy.HashID(line...)
}

// CurrencyReader reads one file of the In-App Currency feed.
type CurrencyReader = Reader[CurrencyRow]

// OpenCurrency opens a file of the In-App Currency feed, as OpenTransactions does.
func OpenCurrency(ctx context.Context, file File, opts Options) (*CurrencyReader, error) {
	p := &currencyParser{cells{words: words{}}}
	return open(ctx, file, opts, &currencyFeed, p.parse)
}

// The columns of the currency feed that a row is made of.
const (
	vcOriginalUser = iota
	vcLastUser
	vcType
	vcCurrency
	vcAmount
	vcBalance
	vcAt
	vcUpdatedAt
	vcKey
	vcStore
	vcSandbox
	vcTransaction
	vcProduct
)

var currencyFeed = feed{
	name:  Currency,
	oneOf: []int{vcLastUser, vcOriginalUser},
	columns: []column{
		vcOriginalUser: {name: "rc_original_app_user_id", without: "rows link no aliases"},
		vcLastUser:     {name: "rc_last_seen_app_user_id_alias", without: "changes are booked to the original App User ID"},
		vcType:         {name: "transaction_type", required: true},
		vcCurrency:     {name: "currency_code", required: true},
		vcAmount:       {name: "adjustment_amount", required: true},
		vcBalance:      {name: "updated_balance", without: "two equal rows of one change cannot be told apart"},
		vcAt:           {name: "event_timestamp", required: true},
		vcUpdatedAt:    {name: "updated_at"},
		vcKey:          {name: "idempotency_key", required: true},
		vcStore:        {name: "store", without: "purchases of currency are not linked"},
		vcSandbox:      {name: "is_sandbox", without: "sandbox and production are not told apart"},
		vcTransaction:  {name: "store_transaction_id", without: "purchases of currency are not linked"},
		vcProduct:      {name: "product_identifier"},
	},
}

// currencyParser makes rows of cells.
type currencyParser struct{ cells }

func (p *currencyParser) parse(t *table) (CurrencyRow, error) {
	p.begin(t)
	row := CurrencyRow{Row: t.row, Line: t.source.line()}
	last, original := p.mark(vcLastUser), p.mark(vcOriginalUser)
	key, transaction := p.mark(vcKey), p.mark(vcTransaction)
	all := string(p.text)
	row.AppUserID = cmp.Or(last.of(all), original.of(all))
	row.Aliases = pair(row.AppUserID, original.of(all))
	row.IdempotencyKey, row.TransactionID = key.of(all), transaction.of(all)
	row.Type = CurrencyRowType(strings.ToUpper(p.lower(vcType)))
	row.Currency = economy.Currency(p.word(vcCurrency))
	row.Amount = p.amount(vcAmount)
	if raw := p.cell(vcBalance); len(raw) > 0 {
		row.Balance = new(p.amount(vcBalance))
	}
	row.At, row.UpdatedAt = p.time(vcAt), p.time(vcUpdatedAt)
	row.Store, row.Product = economy.Store(p.lower(vcStore)), p.word(vcProduct)
	if raw := p.cell(vcSandbox); len(raw) > 0 {
		row.Environment = economy.Production
		if p.bool(vcSandbox) == yes {
			row.Environment = economy.Sandbox
		}
	}
	p.check(row)
	if p.failed != nil {
		return CurrencyRow{}, p.failed
	}
	return row, nil
}

// check: every column of the feed may be null, but some rows then say nothing.
func (p *currencyParser) check(row CurrencyRow) {
	if row.AppUserID == "" {
		p.fail(vcLastUser, errors.New("is empty, as is the original id: it is nobody's"))
	}
	p.fail(vcCurrency, row.Currency.Validate())
	if row.At.IsZero() {
		p.fail(vcAt, errors.New("is empty"))
	}
	for _, at := range []time.Time{row.At, row.UpdatedAt} {
		if !at.IsZero() && (at.Year() < 1970 || at.Year() >= 3000) {
			p.fail(vcAt, errors.New("is not between 1970 and 3000"))
		}
	}
}

func (p *cells) amount(column int) economy.Amount {
	n, err := parseInt(p.cell(column))
	if err == nil && (n > int64(economy.BalanceMax) || n < -int64(economy.BalanceMax)) {
		err = fmt.Errorf("is more than the provider can keep: %w", economy.ErrAmountRange)
	}
	p.fail(column, err)
	return economy.Amount(n)
}

// pair returns two ids of one customer, sorted; nil: it is one id.
func pair(a, b string) []string {
	if a == "" || b == "" || a == b {
		return nil
	}
	ids := []string{a, b}
	slices.Sort(ids)
	return ids
}
