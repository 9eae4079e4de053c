package exports

import "time"

// Feed names what a file holds.
type Feed string

// The feeds.
const (
	Transactions Feed = "transactions"
	Currency     Feed = "currency"
	Customers    Feed = "customers"
	Events       Feed = "events" // archives of webhooks, as JSON lines: see OpenLines
)

// File is an export's file, found but not opened.
type File struct {
	URL     string // a local path, or the blob's URL with the parameters its bucket was given with
	Size    int64  // bytes as stored
	ModTime time.Time
	// Identity changes when the content does: size with the store's ETag or MD5, of a
	// local file with its modification time. A checkpoint that holds another one is of
	// another file.
	Identity string
	Date     string // of the folder or the name, 2006-01-02; empty: neither has one
}

// Listing is what Find found.
type Listing struct {
	Files []File // by date, then by URL; those without a date first; none twice
	// Warnings are sentences for a person: a date without a folder between the first
	// and the last, files of a folder that were left out, and why.
	Warnings []string
}
