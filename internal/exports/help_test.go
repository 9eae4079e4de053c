package exports_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

// file writes a file and finds it.
func file(tb testing.TB, name, content string) exports.File {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	require.NoError(tb, os.WriteFile(path, []byte(content), 0o600))
	return found(tb, path)
}

// create writes a generated file and returns its size.
func create(tb testing.TB, name string, opts generator.Options) generator.Summary {
	tb.Helper()
	file, err := os.Create(name)
	require.NoError(tb, err)
	summary, err := generator.Write(file, opts)
	require.NoError(tb, err)
	require.NoError(tb, file.Close())
	return summary
}

// found is the one file that a name finds.
func found(tb testing.TB, name string) exports.File {
	tb.Helper()
	listing, err := exports.Find(tb.Context(), []string{name}, exports.Transactions)
	require.NoError(tb, err)
	require.Len(tb, listing.Files, 1)
	return listing.Files[0]
}

// outcome is what a file came to.
type outcome[T any] struct {
	rows     []T
	rejected []*exports.RowError
	row      int64
	err      error // what ended it; nil: its end
}

// all reads a reader to its end and closes it.
func all[T any](tb testing.TB, r *exports.Reader[T], err error) outcome[T] {
	tb.Helper()
	var out outcome[T]
	if err != nil {
		out.err = err
		return out
	}
	defer r.Close()
	for {
		row, err := r.Next()
		var rejected *exports.RowError
		switch {
		case err == nil:
			out.rows = append(out.rows, row)
		case errors.As(err, &rejected):
			require.Equal(tb, r.Row(), rejected.Row)
			out.rejected = append(out.rejected, rejected)
		default:
			if out.row = r.Row(); !errors.Is(err, io.EOF) {
				out.err = err
			}
			_, again := r.Next()
			require.Equal(tb, err, again, "an end is an end")
			return out
		}
	}
}

func transactions(tb testing.TB, f exports.File, opts exports.Options) outcome[exports.TransactionRow] {
	tb.Helper()
	r, err := exports.OpenTransactions(tb.Context(), f, opts)
	return all(tb, r, err)
}
