package exports

import (
	"errors"
	"fmt"
	"strings"
)

// ErrEmpty is wrapped by the FileError of a file without even a header.
var ErrEmpty = errors.New("the file is empty")

// RowError says why one row was rejected. Reading goes on with the next call.
// It never quotes a value that could name a player.
type RowError struct {
	File   string // URL of the file
	Row    int64  // as TransactionRow.Row
	Line   int64  // as TransactionRow.Line
	Column string // name of the column; empty: the row as a whole
	Reason string
	Remedy string // what a person can do
}

// Error names file, line, column, reason and remedy, in this order.
func (e *RowError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	if e.Column != "" {
		fmt.Fprintf(&b, "column %s: ", e.Column)
	}
	b.WriteString(e.Reason)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// FileError says why a file cannot be read, or not any further: the rows before it
// are good.
type FileError struct {
	File   string
	Line   int64 // where; 0: before the first line
	Reason string
	Remedy string
	Err    error // what lies behind; may be nil
}

// Error names file, line, reason and remedy, in this order.
func (e *FileError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": " + e.Reason)
	if e.Err != nil {
		fmt.Fprintf(&b, " (%v)", e.Err)
	}
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Unwrap returns what lies behind.
func (e *FileError) Unwrap() error { return e.Err }
