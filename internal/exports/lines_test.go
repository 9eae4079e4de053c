package exports_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
)

// lines reads a file of lines from a row on: "row:line content", or what is wrong.
func lines(t *testing.T, f exports.File, opts exports.Options) []string {
	t.Helper()
	r, err := exports.OpenLines(t.Context(), f, opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	var out []string
	for {
		line, err := r.Next()
		rejected, isRow := errors.AsType[*exports.RowError](err)
		switch {
		case errors.Is(err, io.EOF):
			require.Equal(t, f.Size, r.BytesRead())
			return out
		case isRow:
			require.Equal(t, r.Row(), rejected.Row)
			require.Equal(t, r.Line(), rejected.Line)
			out = append(out, rejected.Error())
		default:
			require.NoError(t, err)
			out = append(out, string(line))
		}
	}
}

// Lines come as they are, whatever ends them; a resumed reading goes on behind a row.
func TestLinesAreReadAndGoneOnWith(t *testing.T) {
	t.Parallel()
	content := "\xef\xbb\xbf{1}\r\n\n  \n{2}\n" + strings.Repeat("x", 200) + "\n{4}"
	for name, stored := range map[string]string{"plain": content, "gzip": zipped(content)} {
		f := file(t, "a.jsonl", stored)
		want := []string{"{1}", "{2}", f.URL + ":5: the line is longer than 100 bytes; no webhook is that long: one event per line, each on a line of its own", "{4}"}
		for from := range 5 {
			require.Equal(t, want[from:], append([]string{}, lines(t, f, exports.Options{FromRow: int64(from), RowMax: 100})...), "%s from %d", name, from)
		}
	}
	require.Empty(t, lines(t, file(t, "empty", ""), exports.Options{}))
}

// Of a folder, an archive's files are those that are named as JSON lines.
func TestArchivesOfAFolderAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.jsonl", "b.ndjson.gz", "c.json", "d.csv.gz", "e.parquet", ".f.jsonl"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	found, err := exports.Find(t.Context(), []string{dir}, exports.Events)
	require.NoError(t, err)
	require.Equal(t, []string{"/a.jsonl", "/b.ndjson.gz", "/c.json"}, names(dir, found))
	require.Len(t, found.Warnings, 1)
	require.Contains(t, found.Warnings[0], "d.csv.gz")
}

func TestAnArchiveInABucketIsRead(t *testing.T) {
	b := newBucket(t)
	b.put(t, "archive/a.jsonl.gz", zipped("{1}\n{2}\n"))
	b.put(t, "archive/b.csv", "x")
	found, err := exports.Find(t.Context(), []string{b.url("archive/")}, exports.Events)
	require.NoError(t, err)
	require.Len(t, found.Files, 1)
	require.Equal(t, []string{"{1}", "{2}"}, lines(t, found.Files[0], exports.Options{}))
}
