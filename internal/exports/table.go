package exports

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// feed is what we know of the columns of a feed.
type feed struct {
	name    Feed
	columns []column
	// oneOf are columns of which a file must have one, by their place in columns.
	oneOf []int
}

// column is one that some rule reads. All others are skipped unseen.
type column struct {
	name     string
	required bool
	without  string // what a file that lacks it does not tell; for a warning
}

// source is a file in some format, as rows of cells.
type source interface {
	columns() []string // names in lower case
	// next goes to the next row: nil, io.EOF, *RowError, *FileError or errHeader.
	next(skip bool) error
	// cell returns a column of the row at hand as text, good until the next call of
	// the source; empty: NULL.
	cell(column int) ([]byte, error)
	line() int64
	// headerAgain and asRow follow an errHeader.
	headerAgain(accept func(names []string) bool) bool
	asRow() error
	close() error
}

// table is a source in which the columns of a feed are found.
type table struct {
	ctx    context.Context // of the open file; Next has the shape of every reader
	file   string
	feed   *feed
	source source
	at     []int // place in the source of each of the feed's columns; -1: it lacks it
	row    int64
	from   int64
}

// bind finds the feed's columns among names.
func (f *feed) bind(names []string) (at []int, missing []string) {
	places := make(map[string]int, len(names))
	for i, name := range names {
		if _, twice := places[name]; !twice {
			places[name] = i
		}
	}
	at = make([]int, len(f.columns))
	for i, c := range f.columns {
		place, ok := places[c.name]
		if at[i] = place; !ok {
			at[i] = -1
			if c.required {
				missing = append(missing, c.name)
			}
		}
	}
	var alternatives []string
	for _, i := range f.oneOf {
		if at[i] >= 0 {
			return at, missing
		}
		alternatives = append(alternatives, f.columns[i].name)
	}
	if len(alternatives) > 0 {
		missing = append(missing, strings.Join(alternatives, " or "))
	}
	return at, missing
}

// known are the names that the feed's headers may begin with.
func (f *feed) known() map[string]bool {
	out := map[string]bool{}
	for _, c := range f.columns {
		out[c.name] = true
	}
	return out
}

func newTable(ctx context.Context, file string, f *feed, s source, fromRow int64) (*table, error) {
	t := &table{ctx: ctx, file: file, feed: f, source: s, from: fromRow}
	names := s.columns()
	at, missing := f.bind(names)
	if len(missing) > 0 {
		return nil, t.lacks(names, missing)
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] && f.known()[name] {
			return nil, &FileError{File: file, Line: s.line(), Reason: "column " + name + " is there twice", Remedy: "deliver the export with each column once"}
		}
		seen[name] = true
	}
	t.at = at
	return t, nil
}

// lacks says what a file without required columns may be instead.
func (t *table) lacks(names, missing []string) error {
	err := &FileError{
		File: t.file, Line: t.source.line(), Reason: fmt.Sprintf("the header has no %s", strings.Join(missing, ", ")),
		Remedy: "choose these columns in the dashboard, under Scheduled Data Exports, and deliver the export again",
	}
	for _, other := range []*feed{&transactionFeed, &currencyFeed, &customerFeed} {
		if _, lacking := other.bind(names); other != t.feed && len(lacking) == 0 {
			err.Remedy = fmt.Sprintf("it has the columns of another feed: use sluice backfill %s", other.name)
			return err
		}
	}
	if len(names) > 0 && strings.HasPrefix(names[0], "{") {
		err.Reason, err.Remedy = "it holds JSON, and no header of an export", replayArchive
		return err
	}
	if len(names) == 1 {
		err.Reason = "the first line has neither commas nor semicolons, so it is no header of an export"
		err.Remedy = "name a file as it was delivered"
	}
	return err
}

// warnings are about columns that the file could have.
func (t *table) warnings() []string {
	var out []string
	for i, c := range t.feed.columns {
		if t.at[i] < 0 && c.without != "" {
			out = append(out, fmt.Sprintf("%s has no column %s: %s", t.file, c.name, c.without))
		}
	}
	return out
}

// checkEvery is how many rows are read before the context is asked again.
const checkEvery = 256

// next goes to the next row that is not done with.
func (t *table) next() error {
	for {
		if t.row%checkEvery == 0 {
			if err := context.Cause(t.ctx); err != nil {
				return err
			}
		}
		skip := t.row < t.from
		err := t.source.next(skip)
		if errors.Is(err, errHeader) {
			if t.source.headerAgain(t.rebind) {
				continue
			}
			err = t.source.asRow()
		}
		var rejected *RowError
		switch {
		case err == nil:
			t.row++
		case errors.As(err, &rejected):
			t.row++
			rejected.Row = t.row
		default:
			return err
		}
		if !skip {
			return err
		}
	}
}

func (t *table) rebind(names []string) bool {
	at, missing := t.feed.bind(names)
	if len(missing) > 0 {
		return false
	}
	t.at = at
	return true
}

// has reports whether the file has a column.
func (t *table) has(column int) bool { return t.at[column] >= 0 }

// raw returns a cell; empty: NULL, or there is no such column.
func (t *table) raw(column int) ([]byte, error) {
	if t.at[column] < 0 {
		return nil, nil
	}
	return t.source.cell(t.at[column])
}

// reject says why the row at hand cannot be taken. column -1: as a whole.
func (t *table) reject(column int, reason error, remedy string) error {
	err := &RowError{File: t.file, Row: t.row, Line: t.source.line(), Reason: reason.Error(), Remedy: remedy}
	if column >= 0 {
		err.Column = t.feed.columns[column].name
	}
	return err
}
