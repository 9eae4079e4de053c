package exports

import (
	"context"
	"errors"
	"io"
)

// Options are how a file is read; the zero Options read all of it.
type Options struct {
	// FromRow is the number of the last row that is done with (TransactionRow.Row,
	// RowError.Row): reading begins after it; 0: with the first. Rows that are skipped
	// are not looked into.
	FromRow int64
	// RowMax bounds a row of a CSV, in bytes; 0 is RowMaxDefault. A longer one is
	// rejected.
	RowMax int
}

// RowMaxDefault is our choice: far above what a row with all attributes of a customer
// comes to, and far below what memory is for.
const RowMaxDefault = 1 << 20

// Reader reads one file, row by row. It is not for use by several goroutines, but for
// BytesRead.
type Reader[T any] struct {
	table  *table
	opened *opened
	parse  func(*table) (T, error)
	done   error
}

// Next returns the next row, io.EOF after the last one, a *RowError for a row that is
// rejected, after which reading goes on, and a *FileError, or the context's cause, for
// what ends the file: then it returns the same again.
func (r *Reader[T]) Next() (T, error) {
	var none T
	if r.done != nil {
		return none, r.done
	}
	err := r.table.next()
	if err == nil {
		var row T
		if row, err = r.parse(r.table); err == nil {
			return row, nil
		}
	}
	var rejected *RowError
	if !errors.As(err, &rejected) {
		r.done = err
	}
	return none, err
}

// Row returns the number of the row that Next looked at last, rejected or not: what
// Options.FromRow goes on after.
func (r *Reader[T]) Row() int64 { return r.table.row }

// BytesRead returns how much of File.Size has been read, for a progress bar. Buffers
// make it run ahead of the rows a little. Any goroutine may ask.
func (r *Reader[T]) BytesRead() int64 { return r.opened.read.Load() }

// Warnings are sentences for a person about the file as a whole: columns that it
// lacks and that would have told something.
func (r *Reader[T]) Warnings() []string { return r.table.warnings() }

// Close gives back what the reader holds. It may be called again.
func (r *Reader[T]) Close() error {
	if r.done == nil {
		r.done = io.ErrClosedPipe
	}
	return errors.Join(r.table.source.close(), r.opened.Close())
}

func open[T any](ctx context.Context, file File, opts Options, f *feed, parse func(*table) (T, error)) (*Reader[T], error) {
	o, err := openFile(ctx, file)
	if err != nil {
		return nil, err
	}
	return openOpened(ctx, o, opts, f, parse)
}

func openOpened[T any](ctx context.Context, o *opened, opts Options, f *feed, parse func(*table) (T, error)) (*Reader[T], error) {
	t, err := o.table(ctx, f, opts)
	if err != nil {
		_ = o.Close()
		return nil, err
	}
	return &Reader[T]{table: t, opened: o, parse: parse}, nil
}
