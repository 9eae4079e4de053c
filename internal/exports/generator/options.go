package generator

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV     Format = "csv"
	Gzip    Format = "csv.gz"
	Parquet Format = "parquet"
)

// Formats are all formats.
var Formats = []Format{CSV, Gzip, Parquet}

// The versions of templates that are known.
const (
	OldestVersion = 3
	NewestVersion = 7
)

// Options are what to write. The same options write the same bytes.
type Options struct {
	Seed      uint64
	Rows      int64
	Version   int       // template, 3 to 7; 0 is the newest
	Format    Format    // empty is CSV
	Delimiter byte      // ',' or ';'; 0 is the feed's own: a comma, of customer lists a semicolon
	Until     time.Time // nothing happened later; zero is 2026-11-01
	Players   int64     // 0: one for every 8 rows
	Columns   []string  // chosen columns, in this order; nil: those of the version
	Standard  bool      // template 5, too, doubles quotes within quotes, so that any reader of CSV reads it
	// Products sold once and by subscription; nil: made-up names.
	OneTime, Subscriptions []string
}

// Summary is what was written, to hold a reader or a merge against.
type Summary struct {
	Rows         int64
	Transactions int64 // different keys: store, environment, id, and of Stripe the renewal number
	Players      int64 // that have a row
	Refunded     int64 // transactions whose newest version is refunded
	Reversed     int64 // transactions that were refunded in an older version only
	Sandbox      int64 // transactions
	Trials       int64 // transactions
	FamilyShared int64 // transactions
	Invalidated  int64 // Google's transactions that end before they start
}

// Player returns the App User ID of a player who is logged in, from 0.
func Player(n int64) string { return "player-" + strconv.FormatInt(n, 10) }

func (o Options) withDefaults(delimiter byte) (Options, error) {
	o.Version = cmp.Or(o.Version, NewestVersion)
	o.Format = cmp.Or(o.Format, CSV)
	o.Delimiter = cmp.Or(o.Delimiter, delimiter)
	o.Players = cmp.Or(o.Players, max(1, o.Rows/8))
	if o.Until.IsZero() {
		o.Until = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	}
	if len(o.OneTime) == 0 {
		o.OneTime = []string{"com.example.gems.100", "com.example.gems.550", "com.example.gems.1200", "com.example.starter"}
	}
	if len(o.Subscriptions) == 0 {
		o.Subscriptions = []string{"com.example.pass.monthly", "com.example.vip:monthly", "com.example.vip:yearly"}
	}
	if o.Version < OldestVersion || o.Version > NewestVersion || o.Delimiter != ',' && o.Delimiter != ';' || o.Rows < 0 {
		return o, fmt.Errorf("generator: version %d, delimiter %q or %d rows are out of range", o.Version, o.Delimiter, o.Rows)
	}
	return o, nil
}

// choose returns the columns that the options name.
func choose[R any](all []column[R], names []string) ([]column[R], error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []column[R]
	for _, name := range names {
		found := false
		for _, c := range all {
			if c.name == name {
				out, found = append(out, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("generator: there is no column %s", name)
		}
	}
	return out, nil
}

// newEncoder returns what writes rows of these columns to w.
func newEncoder[R any](w io.Writer, opts Options, columns []column[R]) (encoder[R], error) {
	switch opts.Format {
	case CSV:
		return newCSV(w, opts, columns), nil
	case Gzip:
		return newGzip(w, opts, columns)
	case Parquet:
		return newParquet(w, columns), nil
	}
	return nil, fmt.Errorf("generator: there is no format %s", opts.Format)
}
