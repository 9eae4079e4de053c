package exports_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

func currency(tb testing.TB, f exports.File) outcome[exports.CurrencyRow] {
	tb.Helper()
	r, err := exports.OpenCurrency(tb.Context(), f, exports.Options{})
	return all(tb, r, err)
}

func customers(tb testing.TB, f exports.File) outcome[exports.CustomerRow] {
	tb.Helper()
	r, err := exports.OpenCustomers(tb.Context(), f, exports.Options{})
	return all(tb, r, err)
}

const currencyHeader = "rc_original_app_user_id,rc_last_seen_app_user_id_alias,transaction_type,currency_code,adjustment_amount,updated_balance," +
	"event_timestamp,updated_at,idempotency_key,store,is_sandbox,store_transaction_id,product_identifier\n"

func TestTheLedgerOfTheProviderIsRead(t *testing.T) {
	t.Parallel()
	got := currency(t, file(t, "virtual_currency.csv", currencyHeader+
		"$RCAnonymousID:1,p1,PURCHASE,GEM,550,600,2026-03-01 10:00:00,2026-03-01 10:00:01,vc_1,APP_STORE,false,t1,gems\n"+
		"p1,p1,DEDUCTION,GEM,-50,,2026-03-01 11:00:00,,spend-1:charge,,,,\n"+
		"p1,,expiration,GOLD,-5,0,2026-03-01 12:00:00,,,,,,\n"+
		"p1,p1,something new,GEM,0,0,2026-03-01 13:00:00,,,play_store,t,t2,gems\n"))
	require.NoError(t, got.err)
	require.Empty(t, got.rejected)
	require.Equal(t, []exports.CurrencyRow{
		{
			Row: 1, Line: 2, AppUserID: "p1", Aliases: []string{"$RCAnonymousID:1", "p1"}, Type: exports.CurrencyPurchase, Currency: "GEM", Amount: 550,
			Balance: new(economy.Amount(600)), IdempotencyKey: "vc_1", At: at(10), UpdatedAt: at(10).Add(time.Second),
			Store: economy.AppStore, Environment: economy.Production, TransactionID: "t1", Product: "gems",
		},
		{Row: 2, Line: 3, AppUserID: "p1", Type: exports.CurrencyDeduction, Currency: "GEM", Amount: -50, IdempotencyKey: "spend-1:charge", At: at(11)},
		{Row: 3, Line: 4, AppUserID: "p1", Type: exports.CurrencyExpiration, Currency: "GOLD", Amount: -5, Balance: new(economy.Amount(0)), At: at(12)},
		{
			Row: 4, Line: 5, AppUserID: "p1", Type: "SOMETHING NEW", Currency: "GEM", Balance: new(economy.Amount(0)), At: at(13),
			Store: economy.PlayStore, Environment: economy.Sandbox, TransactionID: "t2", Product: "gems",
		},
	}, got.rows)
}

func TestARowOfTheLedgerThatSaysTooLittleIsRejected(t *testing.T) {
	t.Parallel()
	for row, column := range map[string]string{
		",,GRANT,GEM,5,5,2026-03-01 10:00:00,,k,,,,\n":            "rc_last_seen_app_user_id_alias",
		"p1,p1,GRANT,,5,5,2026-03-01 10:00:00,,k,,,,\n":           "currency_code",
		"p1,p1,GRANT,G EM,5,5,2026-03-01 10:00:00,,k,,,,\n":       "currency_code",
		"p1,p1,GRANT,GEM,,5,2026-03-01 10:00:00,,k,,,,\n":         "adjustment_amount",
		"p1,p1,GRANT,GEM,1.5,5,2026-03-01 10:00:00,,k,,,,\n":      "adjustment_amount",
		"p1,p1,GRANT,GEM,9000000000,,2026-03-01 10:00:00,,,,,,\n": "adjustment_amount",
		"p1,p1,GRANT,GEM,5,x,2026-03-01 10:00:00,,k,,,,\n":        "updated_balance",
		"p1,p1,GRANT,GEM,5,5,,,k,,,,\n":                           "event_timestamp",
		"p1,p1,GRANT,GEM,5,5,0001-01-01 10:00:00,,k,,,,\n":        "event_timestamp",
		"p1,p1,GRANT,GEM,5,5,2026-03-01 10:00:00,,k\x00,,,,\n":    "idempotency_key",
		"p1,p1,GRANT,GEM,5,5,2026-03-01 10:00:00,,k,,perhaps,,\n": "is_sandbox",
	} {
		got := currency(t, file(t, "x.csv", currencyHeader+row))
		require.Empty(t, got.rows, row)
		require.Len(t, got.rejected, 1, row)
		require.Equal(t, column, got.rejected[0].Column, row)
	}
	got := currency(t, file(t, "x.csv", strings.Replace(currencyHeader, "idempotency_key", "key", 1)))
	require.ErrorContains(t, got.err, "no idempotency_key")
}

// The provider advises to tell rows apart by key, currency, balance and amount.
func TestRowsOfOneChangeAreToldApart(t *testing.T) {
	t.Parallel()
	row := exports.CurrencyRow{AppUserID: "p1", IdempotencyKey: "k", Currency: "GEM", Amount: -5, Balance: new(economy.Amount(10)), At: at(10)}
	later := row
	later.AppUserID, later.UpdatedAt, later.Line = "p2", at(11), 9
	require.Equal(t, row.LineKey(), later.LineKey(), "the next snapshot's row")
	for _, change := range []func(*exports.CurrencyRow){
		func(r *exports.CurrencyRow) { r.IdempotencyKey = "l" },
		func(r *exports.CurrencyRow) { r.Currency = "GOLD" },
		func(r *exports.CurrencyRow) { r.Amount = -6 },
		func(r *exports.CurrencyRow) { r.Balance = new(economy.Amount(5)) },
		func(r *exports.CurrencyRow) { r.Balance = nil },
		func(r *exports.CurrencyRow) { r.IdempotencyKey = "" },
	} {
		other := row
		change(&other)
		require.NotEqual(t, row.LineKey(), other.LineKey())
	}
}

func TestTheGeneratedFeedsAreReadBack(t *testing.T) {
	t.Parallel()
	const rows = 2000
	for _, format := range generator.Formats {
		var b bytes.Buffer
		written, err := generator.WriteCurrency(&b, generator.Options{Seed: 1, Rows: rows, Format: format, Players: 20})
		require.NoError(t, err)
		got := currency(t, file(t, "x", b.String()))
		require.NoError(t, got.err)
		require.Empty(t, got.rejected)
		require.Len(t, got.rows, rows)
		balances, keys := map[string]economy.Amount{}, map[string]bool{}
		for _, row := range got.rows {
			balances[row.AppUserID] += row.Amount
			require.Equal(t, balances[row.AppUserID], *row.Balance)
			keys[row.LineKey()] = true
		}
		require.Len(t, balances, int(written.Players))
		require.Len(t, keys, rows)
		if format == generator.Parquet {
			continue
		}
		b.Reset()
		_, err = generator.WriteCustomers(&b, generator.Options{Seed: 1, Rows: rows, Format: format})
		require.NoError(t, err)
		list := customers(t, file(t, "x", b.String()))
		require.NoError(t, list.err)
		require.Empty(t, list.rejected)
		require.Len(t, list.rows, rows)
	}
}

func TestACustomerListIsRead(t *testing.T) {
	t.Parallel()
	got := customers(t, file(t, "list.csv",
		"project_id;app_user_id;last_seen_at;first_purchase_at;most_recent_purchase_at;latest_store;latest_product;all_purchased_product_ids;has_made_sandbox_purchase;custom_attributes\n"+
			`proj;p1;1772359200000;;1772362800000;app_store;vip;"gems,vip";true;"{""a"": ""b;c""}"`+"\n"+
			"proj;$RCAnonymousID:1;2026-03-01 10:00:00;;;;;;;\n"+
			"proj;;;;;;;;;\n"+
			"proj;p2;soon;;;;;;;\n"))
	require.NoError(t, got.err)
	require.Equal(t, []exports.CustomerRow{
		{
			Row: 1, Line: 2, AppUserID: "p1", LastSeenAt: at(10), LastPurchaseAt: at(11), LatestStore: "app_store", LatestProduct: "vip",
			Products: []string{"gems", "vip"}, SandboxPurchases: true,
		},
		{Row: 2, Line: 3, AppUserID: "$RCAnonymousID:1", LastSeenAt: at(10)},
	}, got.rows)
	require.Len(t, got.rejected, 2)
	require.Equal(t, "app_user_id", got.rejected[0].Column)
	require.Equal(t, "last_seen_at", got.rejected[1].Column)
}

// The documented list names one id. One that was joined with aliases elsewhere is read, too.
func TestAliasesOfACustomerListAreRead(t *testing.T) {
	t.Parallel()
	for _, aliases := range []string{`{b,"c"}`, `["b", "c"]`, `"[""b"", ""c""]"`, `b,c`} {
		got := customers(t, file(t, "list.csv", "app_user_id;aliases;original_app_user_id\na;"+aliases+";\nb;;b\n"))
		require.NoError(t, got.err)
		require.Empty(t, got.rejected)
		require.Equal(t, []string{"a", "b", "c"}, got.rows[0].Aliases, aliases)
		require.Nil(t, got.rows[1].Aliases)
	}
}

// A list in the place of another feed says which command reads it.
func TestAFileOfAnotherFeedSaysWhichCommandReadsIt(t *testing.T) {
	t.Parallel()
	for feed, write := range map[exports.Feed]func(*bytes.Buffer) error{
		exports.Transactions: func(b *bytes.Buffer) error { _, err := generator.Write(b, generator.Options{Rows: 1}); return err },
		exports.Currency: func(b *bytes.Buffer) error {
			_, err := generator.WriteCurrency(b, generator.Options{Rows: 1})
			return err
		},
		exports.Customers: func(b *bytes.Buffer) error {
			_, err := generator.WriteCustomers(b, generator.Options{Rows: 1})
			return err
		},
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		f := file(t, "x.csv", b.String())
		for other, err := range map[exports.Feed]error{
			exports.Transactions: transactions(t, f, exports.Options{}).err, exports.Currency: currency(t, f).err, exports.Customers: customers(t, f).err,
		} {
			if other == feed {
				require.NoError(t, err)
				continue
			}
			require.ErrorContains(t, err, "sluice backfill "+string(feed))
		}
	}
}

// Reading stops with its context, and says so.
func TestReadingStopsWithItsContext(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "x.csv")
	create(t, name, generator.Options{Rows: 5000})
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := exports.OpenTransactions(ctx, found(t, name), exports.Options{})
	require.NoError(t, err)
	_, err = r.Next()
	require.NoError(t, err)
	cause := errors.New("paused")
	cancel(cause)
	for err == nil {
		_, err = r.Next()
	}
	require.ErrorIs(t, err, cause)
	require.Less(t, r.Row(), int64(1000))
	require.Positive(t, r.BytesRead())
	require.LessOrEqual(t, r.BytesRead(), found(t, name).Size)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
}
