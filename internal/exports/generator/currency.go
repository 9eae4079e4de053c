package generator

import (
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// CurrencyRow is a row of the In-App Currency feed, for whoever writes rows of their
// own; empty and zero are null.
type CurrencyRow struct {
	OriginalUser, LastUser string
	Type                   string // PURCHASE, DEDUCTION, GRANT, REFUND_REMOVAL, expiration, other
	Currency               string
	Amount, Balance        int64
	At, UpdatedAt          time.Time
	IdempotencyKey         string
	Store                  string
	Sandbox                bool // told of purchases only
	TransactionID, Product string
	Price                  int64 // millionths of a dollar
}

// WriteCurrency writes an In-App Currency feed: for each player a purchase, then
// spends, gifts, and now and then a refund, with the balance after each.
func WriteCurrency(w io.Writer, opts Options) (Summary, error) {
	opts, err := opts.withDefaults(',')
	if err != nil {
		return Summary{}, err
	}
	random := rand.New(rand.NewPCG(opts.Seed, 4))
	var s Summary
	err = writeRows(w, opts, currencyColumns, func(yield func(CurrencyRow) bool) {
		balances := make([]int64, opts.Players)
		for ; s.Rows < opts.Rows; s.Rows++ {
			player := s.Rows % opts.Players
			s.Players = max(s.Players, player+1)
			if !yield(currencyRow(opts, random, s.Rows, player, &balances[player])) {
				return
			}
		}
	})
	return s, err
}

// WriteCurrencyRows writes rows as a feed.
func WriteCurrencyRows(w io.Writer, opts Options, rows []CurrencyRow) error {
	opts, err := opts.withDefaults(',')
	if err != nil {
		return err
	}
	return writeRows(w, opts, currencyColumns, func(yield func(CurrencyRow) bool) {
		for _, row := range rows {
			if !yield(row) {
				return
			}
		}
	})
}

func currencyRow(opts Options, random *rand.Rand, n, player int64, balance *int64) CurrencyRow {
	row := CurrencyRow{
		OriginalUser: Player(player), LastUser: Player(player), Currency: "GEM", Type: "DEDUCTION",
		At: opts.Until.Add(time.Duration(n-opts.Rows) * time.Second), IdempotencyKey: "vc_tx_" + strconv.FormatInt(n, 36),
	}
	switch roll := random.IntN(100); {
	case *balance < 10 || roll < 10:
		row.Type, row.Amount, row.Store, row.Product = "PURCHASE", 550, "app_store", opts.OneTime[random.IntN(len(opts.OneTime))]
		row.TransactionID, row.Price, row.Sandbox = strconv.FormatInt(300_000_000_000+n, 10), 4_990_000, random.IntN(50) == 0
	case roll < 15:
		row.Type, row.Amount = "GRANT", 25
	case roll < 17:
		row.Type, row.Amount = "REFUND_REMOVAL", -min(*balance, 550)
	case roll < 18:
		row.Type, row.Amount = "expiration", -min(*balance, 5)
	default:
		row.Amount = -min(*balance, int64(1+random.IntN(50)))
	}
	*balance += row.Amount
	row.Balance, row.UpdatedAt = *balance, row.At
	return row
}

// writeRows writes rows in the options' format.
func writeRows[R any](w io.Writer, opts Options, columns []column[R], rows func(yield func(R) bool)) error {
	columns, err := choose(columns, opts.Columns)
	if err != nil {
		return err
	}
	out, err := newEncoder(w, opts, columns)
	if err != nil {
		return err
	}
	for row := range rows {
		if err := out.write(&row); err != nil {
			return err
		}
	}
	return out.close()
}

func ofCurrency(get func(*CurrencyRow) string) func(*CurrencyRow) cell {
	return func(r *CurrencyRow) cell {
		s := get(r)
		return cell{s: s, null: s == ""}
	}
}

func currencyNull(*CurrencyRow) cell { return cell{null: true} }

// currencyColumns are those of the feed (RevenueCat docs, In-App Currency feed).
var currencyColumns = []column[CurrencyRow]{
	{"rc_original_app_user_id", text, ofCurrency(func(r *CurrencyRow) string { return r.OriginalUser })},
	{"rc_last_seen_app_user_id_alias", text, ofCurrency(func(r *CurrencyRow) string { return r.LastUser })},
	{"transaction_type", text, ofCurrency(func(r *CurrencyRow) string { return r.Type })},
	{"currency_code", text, ofCurrency(func(r *CurrencyRow) string { return r.Currency })},
	{"adjustment_amount", integer, func(r *CurrencyRow) cell { return cell{n: r.Amount} }},
	{"updated_balance", integer, func(r *CurrencyRow) cell { return cell{n: r.Balance} }},
	{"event_timestamp", timestamp, func(r *CurrencyRow) cell { return cell{n: r.At.Unix(), null: r.At.IsZero()} }},
	{"updated_at", timestamp, func(r *CurrencyRow) cell { return cell{n: r.UpdatedAt.Unix(), null: r.UpdatedAt.IsZero()} }},
	{"idempotency_key", text, ofCurrency(func(r *CurrencyRow) string { return r.IdempotencyKey })},
	{"store", text, ofCurrency(func(r *CurrencyRow) string { return r.Store })},
	{"is_sandbox", boolean, func(r *CurrencyRow) cell { return cell{flag: r.Sandbox, null: r.Store == ""} }},
	{"store_transaction_id", text, ofCurrency(func(r *CurrencyRow) string { return r.TransactionID })},
	{"product_identifier", text, ofCurrency(func(r *CurrencyRow) string { return r.Product })},
	{"price_in_usd", decimal, func(r *CurrencyRow) cell { return cell{n: r.Price, null: r.Store == ""} }},
	{"purchase_price_in_usd", decimal, func(r *CurrencyRow) cell { return cell{n: r.Price, null: r.Store == ""} }},
	{"purchased_currency", text, currencyNull},
	{"price_in_purchased_currency", decimal, currencyNull},
	{"purchase_price_in_purchased_currency", decimal, currencyNull},
	{"refund_amount_usd", decimal, currencyNull},
	{"refund_amount_in_purchased_currency", decimal, currencyNull},
	{"refund_type", text, currencyNull},
}
