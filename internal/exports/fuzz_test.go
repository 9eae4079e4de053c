package exports

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports/generator"
)

// memory is a file in memory.
type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// FuzzTransactions reads anything as an export: it ends, a row that is taken is a fact
// that can be recorded, one that is not says why, and a second reading from the middle
// finds the same rows.
func FuzzTransactions(f *testing.F) {
	for version := generator.OldestVersion; version <= generator.NewestVersion; version++ {
		var b bytes.Buffer
		_, err := generator.Write(&b, generator.Options{Rows: 3, Version: version, Delimiter: ",;"[version%2]})
		require.NoError(f, err)
		f.Add(b.Bytes())
	}
	f.Add([]byte("rc_original_app_user_id,store\n\"a\n\"\"b,\n{,\\,[\"x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := fuzzed(t, data, 0)
		rest := fuzzed(t, data, whole.row/2)
		if whole.end == nil {
			require.NoError(t, rest.end)
			require.Equal(t, whole.row, rest.row)
			require.LessOrEqual(t, rest.taken+rest.rejected, whole.row-whole.row/2)
			require.Equal(t, whole.taken+whole.rejected, whole.row)
		}
	})
}

type fuzzedFile struct {
	row, taken, rejected int64
	end                  error
}

func fuzzed(t *testing.T, data []byte, fromRow int64) fuzzedFile {
	t.Helper()
	r, err := openMemory(t, data, Options{FromRow: fromRow, RowMax: 4096})
	if err != nil {
		requireFileError(t, err)
		return fuzzedFile{end: err}
	}
	defer r.Close()
	var out fuzzedFile
	line := int64(0)
	for {
		row, err := r.Next()
		var rejected *RowError
		switch {
		case err == nil:
			out.taken++
			require.NoError(t, row.Fact.Validate())
			require.Greater(t, row.Line, line)
			line = row.Line
		case errors.As(err, &rejected):
			out.rejected++
			require.Greater(t, rejected.Line, line)
			require.NotEmpty(t, rejected.Reason)
			require.NotEmpty(t, rejected.Remedy)
			line = rejected.Line
		case errors.Is(err, io.EOF):
			out.row = r.Row()
			return out
		default:
			requireFileError(t, err)
			out.row, out.end = r.Row(), err
			return out
		}
	}
}

func openMemory(t *testing.T, data []byte, opts Options) (*TransactionReader, error) {
	t.Helper()
	file := File{URL: "x", Size: int64(len(data))}
	p := &transactionParser{cells{words: words{}}}
	return openOpened(t.Context(), newOpened(file, memory{bytes.NewReader(data)}), opts, &transactionFeed, p.parse)
}

func requireFileError(t *testing.T, err error) {
	t.Helper()
	var told *FileError
	require.ErrorAs(t, err, &told)
	require.Equal(t, "x", told.File)
	require.NotEmpty(t, told.Reason)
	require.NotEmpty(t, told.Remedy)
}
