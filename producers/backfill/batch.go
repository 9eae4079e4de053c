package backfill

import (
	"errors"
	"io"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/postgres"
)

const (
	// orderedChunk is the rows of one commit of a feed that is taken in order, unless
	// the engine says otherwise; orderedBytes ends one early.
	orderedChunk = 500
	orderedBytes = 4 << 20
)

// source reads one file of a feed that is taken in order; see exports.Reader.
type source[T any] interface {
	next() (said T, skip bool, err error) // as reader.next
	size() int                            // bytes of the row at hand
	Row() int64
	Line() int64
	BytesRead() int64
	Warnings() []string
	Close() error
}

// batch is what one commit takes.
type batch[T any] struct {
	chunk
	said []T
	err  error // what ends the file early; the rows before it are good
}

// gather reads the rows of one commit.
func gather[T any](r source[T], size int) *batch[T] {
	if size <= 0 {
		size = orderedChunk
	}
	b := &batch[T]{}
	for bytes, looked := 0, 0; len(b.said) < size && bytes < orderedBytes && looked < lookMax && len(b.refusals) < size; looked++ {
		said, skip, err := r.next()
		refused, isRow := errors.AsType[*exports.RowError](err)
		switch {
		case isRow:
			b.refusals = append(b.refusals, refused)
			b.refused++
		case errors.Is(err, io.EOF):
			b.end = true
		case err != nil:
			b.err = err
		case skip:
			b.skipped++
		default:
			b.said, b.rows, b.lines = append(b.said, said), append(b.rows, r.Row()), append(b.lines, r.Line())
			bytes += r.size()
		}
		if b.end || b.err != nil {
			break
		}
	}
	b.last, b.bytes = r.Row(), r.BytesRead()
	return b
}

// refuse takes the one row out.
func (b *batch[T]) refuse(url string, err error) {
	b.refusals = append(b.refusals, &exports.RowError{
		File: url, Row: b.rows[0], Line: b.lines[0], Reason: "the database refuses it: SQLSTATE " + postgres.Code(err),
		Remedy: "look at the row; everything else of the file is recorded",
	})
	b.refused++
	b.said, b.rows, b.lines = nil, nil, nil
}

// halve splits a batch that cannot be committed as a whole.
func (b *batch[T]) halve() (one, two *batch[T]) {
	n := len(b.said) / 2
	one = &batch[T]{chunk{rows: b.rows[:n], lines: b.lines[:n], last: b.rows[n-1]}, b.said[:n], nil}
	two = &batch[T]{chunk{
		rows: b.rows[n:], lines: b.lines[n:], skipped: b.skipped, refused: b.refused, last: b.last, bytes: b.bytes, end: b.end,
	}, b.said[n:], nil}
	return one, two
}
