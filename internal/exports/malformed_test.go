package exports_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

func zipped(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func cut(s string) string { return s[:len(s)*3/4] }

// A file that cannot be read, or not any further, names itself, the line and what to do.
func TestAFileThatCannotBeReadSaysWhatToDo(t *testing.T) {
	t.Parallel()
	good := export(cells{}, cells{})
	many := export(slices.Repeat([]cells{{}}, 5000)...)
	var parquet bytes.Buffer
	_, err := generator.Write(&parquet, generator.Options{Rows: 500, Format: generator.Parquet})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		content string
		says    []string
	}{
		"empty":                  {"", []string{"the file is empty", "deliver it again"}},
		"empty gzip":             {zipped(""), []string{"the file is empty"}},
		"truncated gzip":         {cut(zipped(many)), []string{"cut off", "copy or deliver the file again"}},
		"no more than gzip says": {zipped(good)[:5], []string{"cut off"}},
		"damaged gzip":           {zipped(good)[:20] + "xxxxxxxx" + zipped(good)[28:], []string{"gzip data", "copy or deliver the file again"}},
		"a column is missing":    {export(cells{"renewal_number": "-"}), []string{":1: ", "no renewal_number", "choose these columns in the dashboard"}},
		"several are missing":    {export(cells{"store": "-", "rc_original_app_user_id": "-", "rc_last_seen_app_user_id_alias": "-"}), []string{"store, rc_last_seen_app_user_id_alias or rc_original_app_user_id"}},
		"tabs":                   {strings.ReplaceAll(good, ",", "\t"), []string{":1: ", `separated by '\t'`, "commas"}},
		"no delimiter":           {"hello\nworld\n", []string{":1: ", "no header"}},
		"rows of the other delimiter": {
			strings.SplitAfter(good, "\n")[0] + strings.ReplaceAll(strings.SplitAfter(good, "\n")[1], ",", ";"),
			[]string{":2: ", "separated by ;, the header by ,", "one delimiter"},
		},
		"a column twice":    {strings.Replace(good, "\n", ",store\n", 1), []string{":1: ", "column store is there twice"}},
		"another feed":      {"rc_original_app_user_id,transaction_type,currency_code,adjustment_amount,event_timestamp,idempotency_key\n", []string{"another feed", "sluice backfill currency"}},
		"UTF-16":            {"\xff\xfer\x00c\x00", []string{"UTF-16", "UTF-8"}},
		"zip":               {"PK\x03\x04....", []string{"zip archive", "unpack it"}},
		"zstd":              {"\x28\xb5\x2f\xfd....", []string{"zstd"}},
		"truncated Parquet": {cut(parquet.String()), []string{"cut off, or damaged", "copy or deliver the file again"}},
		"hardly a Parquet":  {"PAR1", []string{"damaged"}},
		"a huge footer":     {"PAR1........\xff\xff\xff\x7fPAR1", []string{"cut off, or damaged"}},
		"no line ends":      {strings.Repeat("x", 3<<20), []string{":1: ", "longer than 1048576 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := file(t, "transactions", c.content)
			got := transactions(t, f, exports.Options{})
			var told *exports.FileError
			require.ErrorAs(t, got.err, &told)
			require.Equal(t, f.URL, told.File)
			require.NotEmpty(t, told.Remedy)
			for _, text := range append(c.says, f.URL) {
				require.ErrorContains(t, got.err, text)
			}
		})
	}
}

// Of a file that is cut off the rows before the cut are good, the one in it is not
// taken, and the line is named.
func TestAFileThatIsCutOffKeepsItsRows(t *testing.T) {
	t.Parallel()
	got := transactions(t, file(t, "x.csv.gz", cut(zipped(export(slices.Repeat([]cells{{}}, 5000)...)))), exports.Options{})
	require.NotEmpty(t, got.rows)
	var told *exports.FileError
	require.ErrorAs(t, got.err, &told)
	require.EqualValues(t, len(got.rows)+2, told.Line, "the line that is not whole")
}

// Damage costs the rows that it hits. The others are read, and each rejected row
// names its line.
func TestDamagedRowsCostOnlyThemselves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		rows    int
		lines   []int64 // of the rejected rows
		says    string
	}{
		"byte order mark":         {"\ufeff" + export(cells{}), 1, nil, ""},
		"CRLF":                    {strings.ReplaceAll(export(cells{}, cells{}), "\n", "\r\n"), 2, nil, ""},
		"no last line end":        {strings.TrimSuffix(export(cells{}, cells{}), "\n"), 2, nil, ""},
		"blank lines":             {"\n" + export(cells{}) + "\n\r\n" + strings.SplitAfter(export(cells{}), "\n")[1] + "\n", 2, nil, ""},
		"quoted header":           {`"` + strings.Replace(strings.Replace(export(cells{}), "\n", "\"\n", 1), ",", `","`, 21), 1, nil, ""},
		"header in capitals":      {strings.ToUpper(strings.SplitAfter(export(cells{}), "\n")[0]) + strings.SplitAfter(export(cells{}), "\n")[1], 1, nil, ""},
		"only a header":           {strings.SplitAfter(export(cells{}), "\n")[0], 0, nil, ""},
		"several gzip members":    {zipped(export(cells{})) + zipped(strings.SplitAfter(export(cells{}), "\n")[1]), 2, nil, ""},
		"too few columns":         {export(cells{}) + "a,b\n" + export(cells{}), 2, []int64{3}, "the row has 2 columns, the header 23"},
		"too many columns":        {export(cells{}, cells{"store": "a,b"}, cells{}), 2, []int64{3}, "the row has 24 columns, the header 23"},
		"the other delimiter":     {export(cells{}) + strings.ReplaceAll(strings.SplitAfter(export(cells{}), "\n")[1], ",", ";"), 1, []int64{3}, "separated by ;"},
		"a quote is not closed":   {export(cells{}, cells{"store": `"app_store`}, cells{}), 2, []int64{3}, "not closed"},
		"a quote goes on":         {export(cells{}, cells{"store": `"app"_store`}, cells{}), 2, []int64{3}, "not closed"},
		"10 MB in a cell":         {export(cells{}, cells{"purchased_currency": strings.Repeat("x", 10<<20)}, cells{}), 2, []int64{3}, "longer than 1048576 bytes"},
		"10 MB at the end":        {export(cells{}) + strings.Repeat("x", 10<<20), 1, []int64{3}, "longer than 1048576 bytes"},
		"joined files":            {export(cells{}) + "\ufeff" + export(cells{"updated_at": "-"}, cells{}) + export(cells{}), 4, nil, ""},
		"joined, other delimiter": {export(cells{}) + strings.ReplaceAll(export(cells{}), ",", ";"), 2, nil, ""},
		"hand-quoted JSON":        {export(cells{"purchased_currency": `"{"$email": {"value": "a,b", "at": [1]}}"`}), 1, nil, ""},
		"JSON without quotes":     {export(cells{"purchased_currency": `{"a": "},", "b": "\""}`}), 1, nil, ""},
		"an array of template 3": {
			export(cells{"purchased_currency": `{gold,full_access}`}), 1, nil, "",
		},
		"a backslash escapes":       {export(cells{"purchased_currency": `gems\, many`}), 1, nil, ""},
		"a backslash escapes quote": {export(cells{"purchased_currency": `"5\" of, them"`}), 1, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := transactions(t, file(t, "transactions.csv", c.content), exports.Options{})
			require.NoError(t, got.err)
			require.Len(t, got.rows, c.rows)
			var lines []int64
			for _, rejected := range got.rejected {
				lines = append(lines, rejected.Line)
				require.NotEmpty(t, rejected.Remedy)
			}
			require.Equal(t, c.lines, lines)
			if c.says != "" {
				require.Contains(t, got.rejected[0].Reason, c.says)
			}
		})
	}
}

// The rows of a folder may be of different versions: each file has a header of its own.
func TestVersionsMayBeMixedInAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for version, format := range map[int]generator.Format{3: generator.CSV, 5: generator.Gzip, 7: generator.Parquet} {
		name := filepath.Join(dir, "2026-03-0"+string(rune('0'+version)), "transactions_1."+string(format))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		create(t, name, generator.Options{Rows: 50, Version: version, Format: format})
	}
	listing, err := exports.Find(t.Context(), []string{dir}, exports.Transactions)
	require.NoError(t, err)
	require.Len(t, listing.Files, 3)
	for _, f := range listing.Files {
		got := transactions(t, f, exports.Options{})
		require.NoError(t, got.err)
		require.Empty(t, got.rejected)
		require.Len(t, got.rows, 50)
	}
}

// Any byte of a Parquet file may be wrong.
func TestADamagedParquetFileIsAnError(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	_, err := generator.Write(&b, generator.Options{Rows: 300, Format: generator.Parquet})
	require.NoError(t, err)
	good := b.String()
	for at := 4; at < len(good); at += 1 + len(good)/100 {
		damaged := []byte(good)
		damaged[at] ^= 0xff
		got := transactions(t, file(t, "x.parquet", string(damaged)), exports.Options{})
		var told *exports.FileError
		if got.err != nil {
			require.ErrorAs(t, got.err, &told)
		}
	}
}

// What is held is bounded, whatever a line or a file comes to.
func TestMemoryIsBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "transactions.csv")
	out, err := os.Create(name)
	require.NoError(t, err)
	_, err = out.WriteString(export(cells{}))
	require.NoError(t, err)
	for range 64 {
		_, err = out.WriteString(strings.Repeat("x", 1<<20))
		require.NoError(t, err)
	}
	_, err = out.WriteString("\n" + strings.SplitAfter(export(cells{}), "\n")[1])
	require.NoError(t, err)
	require.NoError(t, out.Close())
	f := found(t, name)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := transactions(t, f, exports.Options{})
	runtime.ReadMemStats(&after)
	require.NoError(t, got.err)
	require.Len(t, got.rows, 2)
	require.Len(t, got.rejected, 1)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "bytes allocated while 64 MiB were read")
}
