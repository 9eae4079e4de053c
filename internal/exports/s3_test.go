package exports_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

// bucket is a server that speaks S3, with one bucket.
type bucket struct {
	*s3mem.Backend
	parameters string
	// cuts is how many of the next answers end after cutAt bytes, with the connection.
	cuts  atomic.Int64
	cutAt int
}

const bucketName = "exports"

func newBucket(t *testing.T) *bucket {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	b := &bucket{Backend: s3mem.New(), cutAt: 10_000}
	require.NoError(t, b.CreateBucket(bucketName))
	s3 := gofakes3.New(b.Backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && !strings.Contains(r.URL.RawQuery, "list-type") && b.cuts.Add(-1) >= 0 {
			w = &cutting{ResponseWriter: w, left: b.cutAt}
		}
		s3.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.parameters = "?region=eu-west-1&use_path_style=true&endpoint=" + url.QueryEscape(server.URL)
	return b
}

func (b *bucket) put(t *testing.T, key, content string) {
	t.Helper()
	_, err := b.PutObject(bucketName, key, map[string]string{"Last-Modified": "Sun, 01 Mar 2026 10:00:00 GMT"}, bytes.NewReader([]byte(content)), int64(len(content)), nil)
	require.NoError(t, err)
}

func (b *bucket) url(path string) string { return "s3://" + bucketName + "/" + path + b.parameters }

// cutting ends an answer, and its connection, too early.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

func TestABucketIsSearchedAsAFolderIs(t *testing.T) {
	b := newBucket(t)
	for _, name := range delivered {
		b.put(t, name, name)
	}
	for _, path := range []string{"base", "base/"} {
		listing, err := exports.Find(t.Context(), []string{b.url(path)}, exports.Transactions)
		require.NoError(t, err)
		require.Equal(t, inOrder, names("s3://exports/", listing), path)
		require.Len(t, listing.Warnings, 2)
		require.Contains(t, listing.Warnings[0], "s3://exports/base/ has no folder of 2026-03-03 to 2026-03-04")
		for _, f := range listing.Files {
			require.Positive(t, f.Size)
			require.NotEmpty(t, f.Identity)
		}
	}
	for path, want := range map[string][]string{
		"base/*/transactions_*":           inOrder[1:3],
		"base/2026-03-0[12]":              inOrder[1:3],
		"base/2026-03-0[12]/":             inOrder[1:3],
		"base/2026-03-06/notes.txt":       {"base/2026-03-06/notes.txt"},
		"base/virtual_currency/":          nil,
		"base/2026-03-05/part-0.parque":   nil,
		"base*/2026-01-01/transactions_*": {"base2/2026-01-01/transactions_1.csv"},
	} {
		listing, err := exports.Find(t.Context(), []string{b.url(path)}, exports.Transactions)
		if want == nil {
			require.Error(t, err, path)
			continue
		}
		require.NoError(t, err, path)
		require.Equal(t, want, names("s3://exports/", listing), path)
	}
}

// Every format is read from a bucket as from a disk, also over a connection that
// breaks again and again.
func TestABucketIsReadOverBrokenConnections(t *testing.T) {
	b := newBucket(t)
	for _, format := range generator.Formats {
		name := filepath.Join(t.TempDir(), "x")
		create(t, name, generator.Options{Seed: 2, Rows: 2000, Format: format})
		local := transactions(t, found(t, name), exports.Options{})
		var content bytes.Buffer
		_, err := generator.Write(&content, generator.Options{Seed: 2, Rows: 2000, Format: format})
		require.NoError(t, err)
		b.put(t, "x", content.String())
		f := found(t, b.url("x"))
		require.EqualValues(t, content.Len(), f.Size)
		if format != generator.Parquet {
			b.cuts.Store(3)
		}
		got := transactions(t, f, exports.Options{})
		require.NoError(t, got.err)
		require.Equal(t, local.rows, got.rows, format)
		require.LessOrEqual(t, b.cuts.Load(), int64(0), "the connection was to break")
	}
}

// Half of one object and half of the next are no export, be the next one shorter than
// what was read already, or longer.
func TestAnObjectThatIsReplacedEndsItsReading(t *testing.T) {
	b := newBucket(t)
	b.cutAt = 600_000
	for _, rows := range []int{1, 21_000} {
		b.put(t, "x.csv", export(slices.Repeat([]cells{{}}, 20_000)...))
		f := found(t, b.url("x.csv"))
		b.cuts.Store(1)
		r, err := exports.OpenTransactions(t.Context(), f, exports.Options{})
		require.NoError(t, err)
		_, err = r.Next()
		require.NoError(t, err)
		b.put(t, "x.csv", export(slices.Repeat([]cells{{}}, rows)...))
		for err == nil {
			_, err = r.Next()
		}
		require.NotErrorIs(t, err, io.EOF)
		require.ErrorContains(t, err, "replaced while it was read")
		var told *exports.FileError
		require.ErrorAs(t, err, &told)
		require.Positive(t, told.Line)
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
		require.NotEqual(t, f.Identity, found(t, b.url("x.csv")).Identity)
	}
}

func TestAnObjectThatIsGoneIsTold(t *testing.T) {
	b := newBucket(t)
	b.put(t, "x.csv", export(cells{}))
	f := found(t, b.url("x.csv"))
	_, err := b.DeleteObject(bucketName, "x.csv")
	require.NoError(t, err)
	_, err = exports.OpenTransactions(t.Context(), f, exports.Options{})
	require.ErrorContains(t, err, "cannot be opened")
	require.ErrorContains(t, err, "credentials")
}
