package exports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gocloud.dev/blob"
)

// Find expands what a person names into files, in the order of their dates: local
// paths, globs, folders (with everything below), file:// and s3://bucket/path URLs,
// whose path may be a file, a folder or a glob. In a glob, * stays within a folder; a
// folder that it matches is taken with everything below. The parameters of a URL
// (?region=, ?endpoint=, ...) are those of gocloud.dev/blob; credentials come from the
// environment, never from the URL. gs:// and azblob:// need a build with the tags gs
// and azblob.
//
// Of a folder, files of another feed, and those that are neither CSV, gzip nor Parquet
// by name (of Events: JSON lines), are left out with a warning, hidden ones without. A file that is named, or
// matched by a glob, is always taken.
//
// Errors say which of the urls is wrong, all of them at once: it names nothing, or
// cannot be read.
func Find(ctx context.Context, urls []string, feed Feed) (Listing, error) {
	f := &finder{feed: feed, seen: map[string]bool{}}
	var problems []error
	for _, name := range urls {
		before := len(f.found)
		left := len(f.left)
		err := f.find(ctx, name)
		if err == nil && len(f.found) == before && !f.again {
			err = errors.New("names no file")
			if len(f.left) > left {
				err = fmt.Errorf("has no file of the feed %s by name; name a file itself to read it all the same%s", feed, f.archives(f.left[left:]))
			}
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	if len(problems) > 0 {
		return Listing{}, errors.Join(problems...)
	}
	slices.SortFunc(f.found, func(a, b File) int { return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.URL, b.URL)) })
	return Listing{Files: f.found, Warnings: slices.Concat(gaps(f.found), f.warnings())}, nil
}

// finder gathers files.
type finder struct {
	feed  Feed
	found []File
	seen  map[string]bool
	again bool // the name at hand named something that was found before
	left  []string
}

func (f *finder) find(ctx context.Context, name string) error {
	f.again = false
	u, remote := remoteURL(name)
	if remote {
		return f.findRemote(ctx, u)
	}
	if strings.Contains(name, "://") && !strings.HasPrefix(name, "file://") {
		return errors.New("is not a URL")
	}
	local := localPath(name)
	if local == "" {
		return errors.New("is empty")
	}
	if info, err := os.Stat(local); err == nil {
		return f.findLocal(local, info)
	} else if !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(local, "*?[") {
		return errors.Unwrap(err)
	}
	matches, err := filepath.Glob(local)
	if err != nil {
		return err
	}
	for _, match := range matches {
		info, err := os.Stat(match)
		if err == nil {
			err = f.findLocal(match, info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) findLocal(name string, info fs.FileInfo) error {
	if !info.IsDir() {
		f.add(localFile(name, info))
		return nil
	}
	return filepath.WalkDir(name, func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case at != name && hidden(entry.Name()) && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		below, err := filepath.Rel(name, at)
		if err != nil || !f.wanted(filepath.ToSlash(below), at) {
			return err
		}
		info, err := os.Stat(at) // follows links
		if err == nil && !info.IsDir() {
			f.add(localFile(at, info))
		}
		return err
	})
}

func localFile(name string, info fs.FileInfo) File {
	return File{
		URL: name, Size: info.Size(), ModTime: info.ModTime(), Date: dateOf(filepath.ToSlash(name)),
		Identity: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano()),
	}
}

// findRemote lists what begins with the fixed part of the path: one road for files,
// folders and globs, so that a file's identity is the same by each.
func (f *finder) findRemote(ctx context.Context, u *url.URL) error {
	bucket, key, err := openBucket(ctx, u)
	if err != nil {
		return err
	}
	defer func() { _ = bucket.Close() }()
	if _, err := path.Match(key, ""); err != nil {
		return err
	}
	prefix := key
	if at := strings.IndexAny(key, `*?[\`); at >= 0 {
		prefix = key[:at]
	}
	objects := bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		object, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list the bucket: %w", err)
		}
		if strings.HasSuffix(object.Key, "/") {
			continue // a folder, as some tools mark it
		}
		below, matches := belowPattern(key, object.Key)
		of := url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/" + object.Key, RawQuery: u.RawQuery}
		if !matches || below != "" && !f.wanted(below, redacted(&of)) {
			continue
		}
		f.add(File{
			URL: of.String(), Size: object.Size, ModTime: object.ModTime, Date: dateOf(object.Key),
			Identity: fmt.Sprintf("%d-%d-%x", object.Size, object.ModTime.UnixNano(), object.MD5),
		})
	}
}

// belowPattern reports whether a key is what a pattern names, or below a folder that
// it names, and then by which path.
func belowPattern(pattern, key string) (below string, matches bool) {
	if pattern == key {
		return "", true
	}
	pattern = strings.TrimSuffix(pattern, "/")
	if pattern == "" {
		return key, true
	}
	if rest, ok := strings.CutPrefix(key, pattern+"/"); ok {
		return rest, true
	}
	parts := strings.Split(key, "/")
	depth := strings.Count(pattern, "/") + 1
	if len(parts) < depth {
		return "", false
	}
	matches, _ = path.Match(pattern, strings.Join(parts[:depth], "/"))
	return strings.Join(parts[depth:], "/"), matches
}

func (f *finder) add(file File) {
	key := file.URL
	if _, remote := remoteURL(file.URL); !remote {
		if absolute, err := filepath.Abs(file.URL); err == nil {
			key = absolute
		}
	}
	if f.seen[key] {
		f.again = true
		return
	}
	f.seen[key] = true
	f.found = append(f.found, file)
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// Folders and names of files by which the provider tells its feeds apart (RevenueCat
// docs, Scheduled Data Exports, paths).
const (
	currencyName    = "virtual_currency"
	transactionName = "transactions"
)

// How names end of files that hold rows, and of those that hold lines of JSON.
var (
	tableEndings = []string{".csv", ".gz", ".parquet"}
	lineEndings  = []string{".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz"}
)

// wanted reports whether a file of a folder, by its path below it, is one of the feed.
func (f *finder) wanted(below, name string) bool {
	parts := strings.Split(below, "/")
	if slices.ContainsFunc(parts, hidden) {
		return false
	}
	last := strings.ToLower(parts[len(parts)-1])
	ofCurrency := slices.Contains(parts[:len(parts)-1], currencyName) || strings.HasPrefix(last, currencyName)
	ofTransactions := strings.HasPrefix(last, transactionName)
	another := f.feed != Currency && ofCurrency || f.feed != Transactions && ofTransactions
	endings := tableEndings
	if f.feed == Events {
		endings = lineEndings
	}
	has := func(ending string) bool { return strings.HasSuffix(last, ending) }
	another = another || f.feed != Events && slices.ContainsFunc(lineEndings, has)
	if !another && slices.ContainsFunc(endings, has) {
		return true
	}
	f.left = append(f.left, name)
	return false
}

// leftShown is how many of the files that were left out are named.
const leftShown = 3

func (f *finder) warnings() []string {
	if len(f.left) == 0 {
		return nil
	}
	shown := strings.Join(f.left[:min(leftShown, len(f.left))], ", ")
	if more := len(f.left) - leftShown; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return []string{fmt.Sprintf("left out, since by name they are not of the feed %s: %s%s", f.feed, shown, f.archives(f.left))}
}

// archives says what becomes of archives of webhooks among files that were left out.
func (f *finder) archives(left []string) string {
	for _, name := range left {
		if f.feed != Events && slices.ContainsFunc(lineEndings, func(ending string) bool { return strings.HasSuffix(strings.ToLower(name), ending) }) {
			return "; " + replayArchive
		}
	}
	return ""
}

// replayArchive is the remedy for lines of JSON where a table was looked for.
const replayArchive = "archives of webhooks (lines of JSON) are replayed by sluice backfill events"
