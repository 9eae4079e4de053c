package exports_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/exports"
)

// cells are the values of a row by column.
type cells map[string]string

// bought is a month of a subscription, renewed once and paid for.
var bought = cells{
	"rc_original_app_user_id": "p1", "rc_last_seen_app_user_id_alias": "p1", "product_identifier": "vip:monthly",
	"start_time": "2026-03-01 10:00:00", "end_time": "2026-04-01 10:00:00", "grace_period_end_time": "", "effective_end_time": "2026-04-01 10:00:00",
	"store": "app_store", "is_auto_renewable": "true", "is_trial_period": "false", "is_in_intro_offer_period": "false", "is_sandbox": "false",
	"price_in_usd": "9.99", "purchase_price_in_usd": "9.99", "store_transaction_id": "t2", "original_store_transaction_id": "t1",
	"refunded_at": "", "purchased_currency": "EUR", "price_in_purchased_currency": "8.49", "purchase_price_in_purchased_currency": "8.49",
	"renewal_number": "2", "ownership_type": "PURCHASED", "updated_at": "2026-03-01 10:00:05",
}

// export writes rows as a CSV. A column whose value is "-" in the first row is left out.
func export(rows ...cells) string {
	var columns []string
	for name := range bought {
		if rows[0][name] != "-" {
			columns = append(columns, name)
		}
	}
	slices.Sort(columns)
	var out strings.Builder
	out.WriteString(strings.Join(columns, ",") + "\n")
	for _, row := range rows {
		var values []string
		for _, name := range columns {
			value, changed := row[name]
			if !changed {
				value = bought[name]
			}
			values = append(values, value)
		}
		out.WriteString(strings.Join(values, ",") + "\n")
	}
	return out.String()
}

func at(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }

var (
	periodEnd = time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC)
	never     = new(time.Time{})
)

func TestARowBecomesTheFactThatItStates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row   cells
		check func(*require.Assertions, exports.TransactionRow)
	}{
		"a renewed period": {cells{}, func(is *require.Assertions, r exports.TransactionRow) {
			is.Equal(economy.PurchaseFact{
				Key:    economy.PurchaseKey{Store: economy.AppStore, Environment: economy.Production, TransactionID: "t2"},
				Source: economy.FromExport, Kind: economy.FactSnapshot, At: at(10).Add(5 * time.Second), By: "export",
				AppUserID: "p1", Product: "vip:monthly", Original: "t1", PurchasedAt: at(10), Renewal: 2,
				Ownership: economy.OwnershipPurchased, Period: economy.PeriodNormal,
				Paid: &economy.Price{Currency: "EUR", Micros: 8_490_000}, PaidUSD: new(int64(9_990_000)),
				ExpiresAt: &periodEnd, GraceUntil: never, EndedAt: never, Refund: &economy.Refund{},
			}, r.Fact)
			is.Equal(exports.TransactionRow{Row: 1, Line: 2, Fact: r.Fact, UpdatedAt: r.Fact.At, Product: "vip:monthly", Original: "t1"}, r)
		}},
		"a purchase without an end has none": {
			cells{"is_auto_renewable": "false", "end_time": "", "effective_end_time": ""},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(never, r.Fact.ExpiresAt)
				is.Equal(never, r.Fact.EndedAt)
			},
		},
		"a purchase without an end that ended": {
			cells{"is_auto_renewable": "f", "end_time": "", "effective_end_time": "2026-03-01 12:00:00"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(new(at(12)), r.Fact.EndedAt)
			},
		},
		"a subscription without an end says nothing of it": {
			cells{"end_time": "", "effective_end_time": ""},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Nil(r.Fact.ExpiresAt)
				is.Nil(r.Fact.EndedAt)
			},
		},
		"ended before the period's end": {
			cells{"effective_end_time": "2026-03-01 12:00:00"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(&periodEnd, r.Fact.ExpiresAt)
				is.Equal(new(at(12)), r.Fact.EndedAt)
			},
		},
		"a grace period is no end": {
			cells{"grace_period_end_time": "2026-04-17 10:00:00", "effective_end_time": "2026-04-17 10:00:00"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(new(periodEnd.AddDate(0, 0, 16)), r.Fact.GraceUntil)
				is.Equal(never, r.Fact.EndedAt)
			},
		},
		"without effective_end_time nothing is said of an end": {
			cells{"effective_end_time": "-"},
			func(is *require.Assertions, r exports.TransactionRow) { is.Nil(r.Fact.EndedAt) },
		},
		"Google: an end before the start brings nothing": {
			cells{"store": "play_store", "end_time": "2026-03-01 09:59:00", "effective_end_time": "2026-03-01 09:59:00"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.True(r.Invalidated)
				is.Equal("t1", r.Original, "it is dealt with its other versions")
				is.Equal("vip:monthly", r.Product)
				is.Equal(new(at(10).Add(-time.Minute)), r.Fact.EndedAt)
				is.Nil(r.Fact.ExpiresAt)
				known := economy.PurchaseOf(r.Fact)
				is.False(known.Confirmed(), "alone it is no purchase")
				live := economy.PurchaseFact{
					Key: r.Fact.Key, Source: economy.FromWebhook, Kind: economy.FactBought, At: at(10), By: "e1",
					AppUserID: "p1", Product: "vip:monthly", PurchasedAt: at(10), ExpiresAt: &periodEnd,
				}
				is.True(economy.Merge(known, live).EndedAt.Value.Before(at(10)), "what a webhook told of has ended")
			},
		},
		"refunded": {
			cells{"refunded_at": "2026-03-01 11:00:00", "price_in_usd": "0", "price_in_purchased_currency": "0"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(&economy.Refund{At: at(11)}, r.Fact.Refund)
				is.Equal(int64(9_990_000), *r.Fact.PaidUSD, "what was paid, before the refund")
			},
		},
		"a refund taken back is none": {cells{}, func(is *require.Assertions, r exports.TransactionRow) { is.Equal(&economy.Refund{}, r.Fact.Refund) }},
		"a partial refund without a time says nothing": {
			cells{"price_in_usd": "4.99", "price_in_purchased_currency": "4.24"},
			func(is *require.Assertions, r exports.TransactionRow) { is.Nil(r.Fact.Refund) },
		},
		"a price lowered in one currency says nothing": {
			cells{"price_in_purchased_currency": "4.24"},
			func(is *require.Assertions, r exports.TransactionRow) { is.Nil(r.Fact.Refund) },
		},
		"nothing paid says nothing of a refund": {
			cells{"price_in_usd": "0", "purchase_price_in_usd": "0", "price_in_purchased_currency": "", "purchase_price_in_purchased_currency": ""},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Nil(r.Fact.Refund)
				is.Nil(r.Fact.Paid)
				is.Zero(*r.Fact.PaidUSD)
			},
		},
		"the purchase's currency tells of a refund, too": {
			cells{"price_in_usd": "", "purchase_price_in_usd": ""},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(&economy.Refund{}, r.Fact.Refund)
				is.Nil(r.Fact.PaidUSD)
			},
		},
		"family sharing": {
			cells{"ownership_type": "FAMILY_SHARED"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(economy.OwnershipFamily, r.Fact.Ownership)
			},
		},
		"an ownership that nobody told": {
			cells{"ownership_type": ""},
			func(is *require.Assertions, r exports.TransactionRow) { is.Empty(r.Fact.Ownership) },
		},
		"promotional": {
			cells{"store": "PROMOTIONAL"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(economy.PromotionalStore, r.Fact.Key.Store)
				is.Equal(economy.PeriodPromotional, r.Fact.Period)
			},
		},
		"trial": {
			cells{"is_trial_period": "true"},
			func(is *require.Assertions, r exports.TransactionRow) { is.Equal(economy.PeriodTrial, r.Fact.Period) },
		},
		"introductory offer": {
			cells{"is_in_intro_offer_period": "t"},
			func(is *require.Assertions, r exports.TransactionRow) { is.Equal(economy.PeriodIntro, r.Fact.Period) },
		},
		"normal or introductory is not known without its column": {
			cells{"is_in_intro_offer_period": "-"},
			func(is *require.Assertions, r exports.TransactionRow) { is.Empty(r.Fact.Period) },
		},
		"sandbox": {
			cells{"is_sandbox": "True"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(economy.Sandbox, r.Fact.Key.Environment)
			},
		},
		"Stripe repeats its ids": {
			cells{"store": "stripe", "store_transaction_id": "si_1"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal("si_1#2", r.Fact.Key.TransactionID)
			},
		},
		"two ids are one customer": {
			cells{"rc_original_app_user_id": "$RCAnonymousID:1", "rc_last_seen_app_user_id_alias": "p9"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal("p9", r.Fact.AppUserID)
				is.Equal([]string{"$RCAnonymousID:1", "p9"}, r.Aliases)
			},
		},
		"the original id, when there is no other": {
			cells{"rc_last_seen_app_user_id_alias": ""},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal("p1", r.Fact.AppUserID)
				is.Nil(r.Aliases)
			},
		},
		"without updated_at a row is as old as the latest it tells of": {
			cells{"updated_at": "-", "refunded_at": "2026-03-01 11:00:00"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(at(11), r.UpdatedAt)
				is.Equal(at(11), r.Fact.At)
			},
		},
		"money never goes through a float": {
			cells{"purchase_price_in_usd": "2999999999.999999", "purchase_price_in_purchased_currency": "1.1999999999e+01", "price_in_usd": "0.0000005"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(int64(2_999_999_999_999_999), *r.Fact.PaidUSD)
				is.Equal(int64(12_000_000), r.Fact.Paid.Micros)
			},
		},
		"NULL as writers of CSV have it": {
			cells{"refunded_at": `\N`, "grace_period_end_time": "null", "price_in_usd": "NULL"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(never, r.Fact.GraceUntil)
				is.True(r.Fact.Refund.At.IsZero())
			},
		},
		"times with a fraction and a zone": {
			cells{"start_time": "2026-03-01 10:00:00.123456", "updated_at": "2026-03-01T12:00:05+02:00"},
			func(is *require.Assertions, r exports.TransactionRow) {
				is.Equal(at(10).Add(123456*time.Microsecond), r.Fact.PurchasedAt)
				is.Equal(at(10).Add(5*time.Second), r.UpdatedAt)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := transactions(t, file(t, "transactions.csv", export(c.row)), exports.Options{})
			require.NoError(t, got.err)
			require.Empty(t, got.rejected)
			require.Len(t, got.rows, 1)
			require.NoError(t, got.rows[0].Fact.Validate())
			c.check(require.New(t), got.rows[0])
		})
	}
}

// What is not what its column holds costs its row, and is named; the next row is read.
func TestARejectedRowNamesItsColumn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row            cells
		column, reason string
	}{
		"boolean":         {cells{"is_sandbox": "maybe"}, "is_sandbox", "neither t, f, true nor false"},
		"no boolean":      {cells{"is_sandbox": ""}, "is_sandbox", "neither t, f, true nor false"},
		"day":             {cells{"end_time": "2026-02-30 00:00:00"}, "end_time", "not a time"},
		"time":            {cells{"start_time": "yesterday"}, "start_time", "not a time"},
		"no start":        {cells{"start_time": ""}, "start_time", "is empty"},
		"no update":       {cells{"updated_at": ""}, "updated_at", "is empty"},
		"before 1970":     {cells{"start_time": "1899-01-01 00:00:00"}, "", "1970"},
		"price":           {cells{"price_in_usd": "9,99 $"}, "", "columns"},
		"letters":         {cells{"price_in_usd": "free"}, "price_in_usd", "not a price"},
		"price of damage": {cells{"price_in_usd": "1e99"}, "price_in_usd", "not a price"},
		"renewal 0":       {cells{"renewal_number": "0"}, "renewal_number", "less than 1"},
		"no renewal":      {cells{"renewal_number": ""}, "renewal_number", "not a whole number"},
		"huge renewal":    {cells{"renewal_number": "9999999999999"}, "", "renewal number is out of range"},
		"nobody":          {cells{"rc_original_app_user_id": "", "rc_last_seen_app_user_id_alias": ""}, "rc_last_seen_app_user_id_alias", "nobody"},
		"no product":      {cells{"product_identifier": ""}, "product_identifier", "is empty"},
		"no transaction":  {cells{"store_transaction_id": ""}, "", "transaction id is missing"},
		"no store":        {cells{"store": ""}, "", "store is missing"},
		"NUL":             {cells{"product_identifier": "a\x00b"}, "product_identifier", "NUL"},
		"not UTF-8":       {cells{"rc_last_seen_app_user_id_alias": "\xff"}, "rc_last_seen_app_user_id_alias", "not UTF-8"},
		"too long":        {cells{"store_transaction_id": strings.Repeat("1", 300)}, "", "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := file(t, "transactions.csv", export(cells{}, c.row, cells{}))
			got := transactions(t, f, exports.Options{})
			require.NoError(t, got.err)
			require.Len(t, got.rows, 2)
			require.Len(t, got.rejected, 1)
			err := got.rejected[0]
			require.Equal(t, f.URL, err.File)
			require.EqualValues(t, 3, err.Line)
			require.EqualValues(t, 2, err.Row)
			require.Equal(t, c.column, err.Column)
			require.Contains(t, err.Reason, c.reason)
			require.NotEmpty(t, err.Remedy)
			require.Contains(t, err.Error(), f.URL+":3: ")
		})
	}
}
