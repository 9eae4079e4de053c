package backfill

import (
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// chunk is what one commit of one part takes.
type chunk struct {
	part       *part
	statements []purchases.Statement
	lines      []int64 // of the statements
	rows       []int64 // their numbers
	skipped    int64
	refusals   []*exports.RowError
	refused    int64
	last       int64 // the part's rows up to this one are in this chunk or were in one before
	bytes      int64 // that were read of the file by then
	end        bool  // of the file
}

func (c *chunk) take(next row, number int64, refused *exports.RowError) {
	switch {
	case refused != nil:
		c.refusals = append(c.refusals, refused)
		c.refused++
	case next.skip:
		c.skipped++
	default:
		c.statements = append(c.statements, next.statement)
		c.lines, c.rows = append(c.lines, next.line), append(c.rows, number)
	}
}

// refuse takes the chunk's one statement out: the database does not take it.
func (c *chunk) refuse(url string, data *outbox.DataError) {
	c.refusals = append(c.refusals, &exports.RowError{
		File: url, Row: c.rows[0], Line: c.lines[0], Reason: "the database refuses it: " + data.Error(),
		Remedy: "look at the row; everything else of the file is recorded",
	})
	c.refused++
	c.statements, c.lines, c.rows = nil, nil, nil
}

// halve splits a chunk that cannot be committed as a whole. What was skipped and
// refused is counted with the second half, which may be the one that ends the file.
func (c *chunk) halve() (one, two *chunk) {
	n := len(c.statements) / 2
	one = &chunk{part: c.part, statements: c.statements[:n], lines: c.lines[:n], rows: c.rows[:n], last: c.rows[n-1]}
	two = &chunk{
		part: c.part, statements: c.statements[n:], lines: c.lines[n:], rows: c.rows[n:], skipped: c.skipped, refused: c.refused,
		last: c.last, bytes: c.bytes, end: c.end,
	}
	return one, two
}
