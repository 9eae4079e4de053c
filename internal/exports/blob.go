package exports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// blobFile is a file as it is stored, here or in a bucket.
type blobFile interface {
	io.ReadCloser
	io.ReaderAt
}

// openBlob opens what Find found.
func openBlob(ctx context.Context, file File) (blobFile, error) {
	u, remote := remoteURL(file.URL)
	if !remote {
		f, err := os.Open(localPath(file.URL))
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			_ = f.Close()
			return nil, &FileError{File: file.URL, Reason: "it is a folder", Remedy: "name it to Find, which looks into folders"}
		}
		return f, nil
	}
	bucket, key, err := openBucket(ctx, u)
	if err != nil {
		return nil, err
	}
	r := &remoteFile{ctx: ctx, bucket: bucket, key: key, url: file.URL, wait: waitBetween()}
	if err := r.open(); err != nil {
		_ = bucket.Close()
		return nil, err
	}
	return r, nil
}

// remoteURL reports whether a name is the URL of something in a bucket.
func remoteURL(name string) (*url.URL, bool) {
	scheme, _, ok := strings.Cut(name, "://")
	if !ok || scheme == "file" {
		return nil, false
	}
	u, err := url.Parse(name)
	return u, err == nil
}

// localPath returns the path of a name that is not remote.
func localPath(name string) string {
	if rest, ok := strings.CutPrefix(name, "file://"); ok {
		if path, err := url.PathUnescape(rest); err == nil {
			return path
		}
		return rest
	}
	return name
}

// openBucket opens the bucket of s3://bucket/key?parameters and returns the key.
func openBucket(ctx context.Context, u *url.URL) (*blob.Bucket, string, error) {
	of := url.URL{Scheme: u.Scheme, Host: u.Host, RawQuery: u.RawQuery}
	if query := of.Query(); u.Scheme == "s3" && !query.Has(s3Checksums) {
		query.Set(s3Checksums, "when_required")
		of.RawQuery = query.Encode()
	}
	bucket, err := blob.OpenBucket(ctx, of.String())
	if err != nil {
		if tag, ok := builtWith[u.Scheme]; ok && !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
			return nil, "", fmt.Errorf("%s: this build does not know %s://; build it with -tags %s, or copy the files here", redacted(u), u.Scheme, tag)
		}
		return nil, "", fmt.Errorf("open the bucket of %s: %w", redacted(u), err)
	}
	return bucket, strings.TrimPrefix(u.Path, "/"), nil
}

// s3Checksums keeps the AWS SDK from a warning per object that was stored without one.
const s3Checksums = "response_checksum_validation"

// builtWith are the schemes that need a build tag.
var builtWith = map[string]string{"gs": "gs", "azblob": "azblob"}

// redacted is the address without its parameters.
func redacted(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// remoteFile reads an object from its beginning to its end over a connection that may
// break, or be idle for long while a backfill is paused: it goes on where it stopped.
// An object that was replaced meanwhile ends it.
type remoteFile struct {
	ctx    context.Context // of the open file; io.Reader has none
	bucket *blob.Bucket
	key    string
	url    string
	wait   backoff.BackOff

	reader *blob.Reader
	offset int64
	of     version
	close  sync.Once
}

// version tells an object from the one that replaces it.
type version struct {
	modified time.Time
	size     int64
}

// attemptsMax is how often in a row a read is tried again without a byte more, and
// waitMin the wait before the first time; it doubles. Our choice.
const (
	attemptsMax = 8
	waitMin     = 250 * time.Millisecond
)

func waitBetween() backoff.BackOff {
	return backoff.WithMaxRetries(backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(waitMin), backoff.WithMultiplier(2), backoff.WithMaxElapsedTime(0)), attemptsMax)
}

func (r *remoteFile) open() error {
	reader, err := r.bucket.NewRangeReader(r.ctx, r.key, r.offset, -1, nil)
	if err != nil {
		if now, gone := r.bucket.Attributes(r.ctx, r.key); gone == nil && r.replaced(version{now.ModTime, now.Size}) {
			return errReplaced(r.url) // it may have become too short for the offset
		}
		return err
	}
	now := version{reader.ModTime(), reader.Size()}
	if r.replaced(now) {
		_ = reader.Close()
		return errReplaced(r.url)
	}
	r.of = now
	r.reader = reader
	return nil
}

func (r *remoteFile) replaced(now version) bool {
	return r.of != (version{}) && (!now.modified.Equal(r.of.modified) || now.size != r.of.size)
}

func errReplaced(url string) error {
	return &FileError{File: url, Reason: "the object was replaced while it was read", Remedy: "run it again: the new one is read from its beginning"}
}

// Read reads on. It returns io.EOF only where the object ends.
func (r *remoteFile) Read(b []byte) (int, error) {
	for {
		if r.reader == nil && r.offset > 0 && r.offset >= r.of.size {
			return 0, io.EOF // it broke after the last byte
		}
		err := r.reopen()
		if err == nil {
			var n int
			n, err = r.reader.Read(b)
			r.offset += int64(n)
			if n > 0 {
				r.wait.Reset()
				return n, nil
			}
			if errors.Is(err, io.EOF) && r.offset >= r.of.size {
				return 0, io.EOF
			}
			_ = r.reader.Close()
			r.reader = nil
		}
		if err := r.pause(err); err != nil {
			return 0, err
		}
	}
}

func (r *remoteFile) reopen() error {
	if r.reader != nil {
		return nil
	}
	return r.open()
}

// pause waits before the next attempt, or says why there is none.
func (r *remoteFile) pause(err error) error {
	var told *FileError
	if errors.As(err, &told) || err == nil {
		return err
	}
	wait := r.wait.NextBackOff()
	if code := gcerrors.Code(err); wait == backoff.Stop || code == gcerrors.NotFound || code == gcerrors.PermissionDenied {
		return fmt.Errorf("after %d bytes: %w", r.offset, err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	case <-timer.C:
		return nil
	}
}

// ReadAt reads a range of its own, as Parquet needs it.
func (r *remoteFile) ReadAt(b []byte, offset int64) (int, error) {
	reader, err := r.bucket.NewRangeReader(r.ctx, r.key, offset, int64(len(b)), nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = reader.Close() }()
	n, err := io.ReadFull(reader, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

func (r *remoteFile) Close() error {
	var err error
	r.close.Do(func() {
		if r.reader != nil {
			_ = r.reader.Close()
		}
		err = r.bucket.Close()
	})
	return err
}
