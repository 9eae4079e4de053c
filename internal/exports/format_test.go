package exports_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

// Every version says the same in every format, and what is read comes to what was
// written, newest version of each transaction first.
func TestEveryVersionAndFormatIsReadBack(t *testing.T) {
	t.Parallel()
	const rows = 3000
	for version := generator.OldestVersion; version <= generator.NewestVersion; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			var first []exports.TransactionRow
			for _, format := range generator.Formats {
				for _, delimiter := range []byte(",;") {
					opts := generator.Options{Seed: 3, Rows: rows, Version: version, Format: format, Delimiter: delimiter}
					name := filepath.Join(t.TempDir(), "no-extension-tells-what-it-is")
					written := create(t, name, opts)
					got := transactions(t, found(t, name), exports.Options{})
					require.NoError(t, got.err)
					require.Empty(t, got.rejected)
					require.Len(t, got.rows, rows)
					if first == nil {
						first = got.rows
						checkSummary(t, version, written, got.rows)
					}
					require.Equal(t, first, got.rows, "%s %c", format, delimiter)
				}
			}
		})
	}
}

func checkSummary(t *testing.T, version int, written generator.Summary, rows []exports.TransactionRow) {
	t.Helper()
	known := map[economy.PurchaseKey]economy.Purchase{}
	players := map[string]bool{}
	invalidated := map[economy.PurchaseKey]bool{}
	for _, row := range rows {
		known[row.Fact.Key] = economy.Merge(known[row.Fact.Key], row.Fact)
		players[row.Fact.AppUserID] = true
		invalidated[row.Fact.Key] = invalidated[row.Fact.Key] || row.Invalidated
	}
	var got generator.Summary
	for _, p := range known {
		for counter, is := range map[*int64]bool{
			&got.Refunded: p.Refunded(), &got.Sandbox: p.Key.Environment == economy.Sandbox, &got.Trials: p.Period.Value == economy.PeriodTrial,
			&got.FamilyShared: p.Ownership.Value == economy.OwnershipFamily, &got.Invalidated: invalidated[p.Key],
		} {
			if is {
				*counter++
			}
		}
	}
	got.Rows, got.Transactions, got.Players, got.Reversed = int64(len(rows)), int64(len(known)), int64(len(players)), written.Reversed
	if version == generator.OldestVersion {
		written.Refunded += written.Reversed // it has no price before refunds, which tells that one was taken back
	}
	require.Positive(t, written.Invalidated)
	require.Equal(t, written, got)
}

// Feeds let one choose columns, in any order.
func TestColumnsAreFoundByName(t *testing.T) {
	t.Parallel()
	columns := []string{
		"ownership_type", "renewal_number", "refunded_at", "is_trial_period", "end_time", "is_auto_renewable", "start_time", "product_identifier",
		"is_sandbox", "store", "store_transaction_id", "rc_last_seen_app_user_id_alias",
	}
	for range 2 {
		name := filepath.Join(t.TempDir(), "transactions.csv")
		create(t, name, generator.Options{Seed: 5, Rows: 200, Columns: columns})
		f := found(t, name)
		r, err := exports.OpenTransactions(t.Context(), f, exports.Options{})
		require.NoError(t, err)
		require.Contains(t, fmt.Sprint(r.Warnings()), "updated_at")
		got := all(t, r, err)
		require.NoError(t, got.err)
		require.Empty(t, got.rejected)
		require.Len(t, got.rows, 200)
		slices.Reverse(columns)
	}
}

// A checkpoint is a row's number: reading goes on after it, whatever the format, and
// whatever is wrong with the rows before.
func TestReadingGoesOnAfterACheckpoint(t *testing.T) {
	t.Parallel()
	files := map[string]exports.File{
		"rows of many kinds": file(t, "transactions.csv", export(
			cells{}, cells{"is_sandbox": "maybe"}, cells{"product_identifier": "\"over\ntwo, or\r\nthree \"\"lines\"\"\""}, cells{"store": "\"open"},
			cells{}, cells{"renewal_number": "1,2"}, cells{"store": "\r\n"}, cells{"product_identifier": "gems"})+"\r\n\n"+export(cells{"renewal_number": "7"})),
	}
	for _, format := range generator.Formats {
		name := filepath.Join(t.TempDir(), "x")
		create(t, name, generator.Options{Seed: 9, Rows: 700, Format: format})
		files[string(format)] = found(t, name)
	}
	for name, f := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := transactions(t, f, exports.Options{})
			require.NoError(t, whole.err)
			require.EqualValues(t, len(whole.rows)+len(whole.rejected), whole.row)
			for from := int64(0); from <= whole.row; from += 1 + whole.row/20 {
				rest := transactions(t, f, exports.Options{FromRow: from})
				require.NoError(t, rest.err)
				after := slices.DeleteFunc(slices.Clone(whole.rows), func(r exports.TransactionRow) bool { return r.Row <= from })
				require.Len(t, rest.rows, len(after), "from row %d", from)
				if len(after) > 0 {
					require.Equal(t, after, rest.rows)
				}
				rejected := slices.DeleteFunc(slices.Clone(whole.rejected), func(e *exports.RowError) bool { return e.Row <= from })
				require.Len(t, rest.rejected, len(rejected))
				require.Equal(t, whole.row, rest.row)
			}
		})
	}
}
