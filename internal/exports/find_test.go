package exports_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
)

// delivered are files as the provider lays them out, and others beside them.
var delivered = []string{
	"base/2026-03-02/transactions_2.csv.gz",
	"base/2026-03-01/transactions_1.csv.gz",
	"base/2026-03-05/part-1.parquet",
	"base/2026-03-05/part-0.parquet",
	"base/2026-03-06/notes.txt",
	"base/2026-03-06/_SUCCESS",
	"base/.cache/2026-03-09/x.csv",
	"base/virtual_currency/2026-03-01/virtual_currency_1.csv.gz",
	"base/old.csv",
	"base2/2026-01-01/transactions_1.csv",
}

func deliver(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range delivered {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(name), 0o600))
	}
	return dir
}

// names of what was found, without what comes before and after the delivered path.
func names(prefix string, listing exports.Listing) []string {
	var out []string
	for _, f := range listing.Files {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.URL, prefix), "?")
		out = append(out, name)
	}
	return out
}

// inOrder is what a folder of transactions comes to.
var inOrder = []string{
	"base/old.csv", "base/2026-03-01/transactions_1.csv.gz", "base/2026-03-02/transactions_2.csv.gz", "base/2026-03-05/part-0.parquet", "base/2026-03-05/part-1.parquet",
}

func TestFilesAreFoundInTheOrderOfTheirDates(t *testing.T) {
	t.Parallel()
	dir := deliver(t)
	for name, c := range map[string]struct {
		urls []string
		feed exports.Feed
		want []string
	}{
		"a folder":                           {[]string{dir + "/base"}, exports.Transactions, inOrder},
		"a file URL":                         {[]string{"file://" + dir + "/base"}, exports.Transactions, inOrder},
		"the other feed":                     {[]string{dir + "/base"}, exports.Currency, append(append([]string{"base/old.csv"}, delivered[7]), inOrder[3:]...)},
		"a glob":                             {[]string{dir + "/base/*/transactions_*"}, exports.Transactions, inOrder[1:3]},
		"a glob of folders":                  {[]string{dir + "/base/2026-03-0[12]"}, exports.Transactions, inOrder[1:3]},
		"none twice":                         {[]string{dir + "/base/*/transactions_*", dir + "/base/2026-03-02/transactions_2.csv.gz", dir + "/base/../base/old.csv", dir + "/base/old.csv"}, exports.Transactions, append([]string{"base/../base/old.csv"}, inOrder[1:3]...)},
		"a file is taken, whatever its name": {[]string{dir + "/base/2026-03-06/notes.txt"}, exports.Transactions, []string{"base/2026-03-06/notes.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listing, err := exports.Find(t.Context(), c.urls, c.feed)
			require.NoError(t, err)
			require.Equal(t, c.want, names(dir+"/", listing))
		})
	}
}

func TestAMissingDateAndWhatIsLeftOutAreTold(t *testing.T) {
	t.Parallel()
	dir := deliver(t)
	listing, err := exports.Find(t.Context(), []string{dir + "/base"}, exports.Transactions)
	require.NoError(t, err)
	require.Len(t, listing.Warnings, 2)
	require.Contains(t, listing.Warnings[0], dir+"/base/ has no folder of 2026-03-03 to 2026-03-04 (days: 2)")
	require.Contains(t, listing.Warnings[1], "left out")
	require.Contains(t, listing.Warnings[1], "notes.txt")
	require.Contains(t, listing.Warnings[1], "virtual_currency_1.csv.gz")
	require.NotContains(t, listing.Warnings[1], "_SUCCESS")
}

func TestNamesThatFindNothingAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	dir := deliver(t)
	_, err := exports.Find(t.Context(), []string{
		dir + "/base/old.csv", dir + "/none", dir + "/none*.csv", "", "s4://bucket/x", dir + "/base/2026-03-06", "gs://bucket/x",
	}, exports.Transactions)
	for _, text := range []string{
		dir + "/none: no such file", dir + "/none*.csv: names no file", ": is empty", "s4://bucket/x: ",
		dir + "/base/2026-03-06: has no file of the feed transactions by name", "build it with -tags gs",
	} {
		require.ErrorContains(t, err, text)
	}
	require.NotContains(t, err.Error(), "old.csv")
}

// A checkpoint holds the identity of its file.
func TestAFileThatChangedHasAnotherIdentity(t *testing.T) {
	t.Parallel()
	f := file(t, "x.csv", "one")
	require.Equal(t, f, found(t, f.URL))
	require.NoError(t, os.Chtimes(f.URL, time.Time{}, f.ModTime.Add(time.Second)))
	touched := found(t, f.URL)
	require.NotEqual(t, f.Identity, touched.Identity)
	require.NoError(t, os.WriteFile(f.URL, []byte("two!"), 0o600))
	require.NoError(t, os.Chtimes(f.URL, time.Time{}, touched.ModTime))
	require.NotEqual(t, touched.Identity, found(t, f.URL).Identity)
}

// An archive of webhooks is no table, whatever its ending: the command for it is named.
func TestAnArchiveAmongTablesIsToldWithItsCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archive := filepath.Join(dir, "webhooks.jsonl.gz")
	require.NoError(t, os.WriteFile(archive, []byte(`{"event":{"id":"e1","type":"RENEWAL"}}`+"\n"), 0o600))
	_, err := exports.Find(t.Context(), []string{dir}, exports.Transactions)
	require.ErrorContains(t, err, "has no file of the feed transactions by name")
	require.ErrorContains(t, err, "sluice backfill events")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "transactions.csv"), nil, 0o600))
	listing, err := exports.Find(t.Context(), []string{dir}, exports.Transactions)
	require.NoError(t, err)
	require.Len(t, listing.Files, 1)
	require.Contains(t, listing.Warnings[0], "sluice backfill events")
	_, err = exports.OpenTransactions(t.Context(), exports.File{URL: archive}, exports.Options{})
	require.ErrorContains(t, err, "it holds JSON, and no header of an export")
	require.ErrorContains(t, err, "sluice backfill events")
}
