package backfill

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// row is one row of a file.
type row struct {
	statement purchases.Statement
	story     string // rows of one are dealt to one part; empty: to any
	line      int64
	skip      bool // left out by the filter
}

// reader reads one file, whatever its feed; see exports.TransactionReader.
type reader interface {
	next() (row, error)
	Row() int64
	BytesRead() int64
	Warnings() []string
	Close() error
}

// open opens a file of the command's feed behind a row.
func (c Command) open(ctx context.Context, file exports.File, fromRow int64, now time.Time) (reader, error) {
	switch c.Feed {
	case exports.Transactions:
		r, err := exports.OpenTransactions(ctx, file, exports.Options{FromRow: fromRow})
		if err != nil {
			return nil, err
		}
		return transactions{r, file.URL, c.Filter, now.Add(aheadMax)}, nil
	default:
		return nil, fmt.Errorf("no backfill reads the feed %q", c.Feed)
	}
}

// aheadMax is how far a row's time may lie ahead of our clock. The newest word wins: one
// from the future would win over every refund until then.
const aheadMax = 24 * time.Hour

// transactions reads a transactions export.
type transactions struct {
	*exports.TransactionReader
	file   string
	filter Filter
	latest time.Time
}

func (t transactions) next() (row, error) {
	r, err := t.Next()
	if err != nil {
		return row{}, err
	}
	skip := t.filter.leavesOut(r.UpdatedAt, r.Product, r.Fact.AppUserID, r.Aliases)
	if !skip && r.UpdatedAt.After(t.latest) {
		return row{}, &exports.RowError{
			File: t.file, Row: r.Row, Line: r.Line, Reason: "it tells of a time that is yet to come: until then no later word on the purchase would count",
			Remedy: "look at the clock of this machine; correct the row, or deliver the export again",
		}
	}
	return row{statement: purchases.Statement{Fact: r.Fact, Aliases: r.Aliases}, story: r.Original, line: r.Line, skip: skip}, nil
}

// leavesOut reports whether a row is not wanted.
func (f Filter) leavesOut(at time.Time, product, player string, aliases []string) bool {
	wanted := func(id string) bool { return slices.Contains(f.Players, id) }
	return at.Before(f.Since) || !f.Until.IsZero() && !at.Before(f.Until) ||
		len(f.Products) > 0 && !slices.Contains(f.Products, product) ||
		len(f.Players) > 0 && !wanted(player) && !slices.ContainsFunc(aliases, wanted)
}
