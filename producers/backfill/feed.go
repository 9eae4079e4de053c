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
func (c Command) open(ctx context.Context, file exports.File, fromRow int64) (reader, error) {
	switch c.Feed {
	case exports.Transactions:
		r, err := exports.OpenTransactions(ctx, file, exports.Options{FromRow: fromRow})
		if err != nil {
			return nil, err
		}
		return transactions{r, c.Filter}, nil
	default:
		return nil, fmt.Errorf("no backfill reads the feed %q", c.Feed)
	}
}

// transactions reads a transactions export.
type transactions struct {
	*exports.TransactionReader
	filter Filter
}

func (t transactions) next() (row, error) {
	r, err := t.Next()
	if err != nil {
		return row{}, err
	}
	skip := t.filter.leavesOut(r.UpdatedAt, r.Product, r.Fact.AppUserID, r.Aliases)
	return row{statement: purchases.Statement{Fact: r.Fact, Aliases: r.Aliases}, story: r.Original, line: r.Line, skip: skip}, nil
}

// leavesOut reports whether a row is not wanted.
func (f Filter) leavesOut(at time.Time, product, player string, aliases []string) bool {
	wanted := func(id string) bool { return slices.Contains(f.Players, id) }
	return at.Before(f.Since) || !f.Until.IsZero() && !at.Before(f.Until) ||
		len(f.Products) > 0 && !slices.Contains(f.Products, product) ||
		len(f.Players) > 0 && !wanted(player) && !slices.ContainsFunc(aliases, wanted)
}
