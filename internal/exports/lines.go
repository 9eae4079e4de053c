package exports

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
)

// LineMaxDefault bounds a line of JSON, in bytes: twice the largest webhook that is
// taken, so that one in base64 has room.
const LineMaxDefault = 2 << 20

// LineReader reads a file of lines, such as JSON lines: plain or gzip, told from the
// bytes. It is not for use by several goroutines, but for BytesRead.
type LineReader struct {
	ctx    context.Context // of the open file
	lines  *csvSource      // no more of it than its lines
	opened *opened
	row    int64
	from   int64
	done   error
}

// OpenLines opens a file. Options.FromRow counts lines that are not blank; a longer line
// than Options.RowMax, 0: LineMaxDefault, is rejected. Errors are *FileError. Close the
// reader. An empty file has no lines.
func OpenLines(ctx context.Context, file File, opts Options) (*LineReader, error) {
	o, err := openFile(ctx, file)
	if err != nil {
		return nil, err
	}
	r := &LineReader{ctx: ctx, opened: o, from: opts.FromRow}
	if r.lines, err = o.lineSource(opts.RowMax); err != nil {
		_ = o.Close()
		return nil, err
	}
	return r, nil
}

func (o *opened) lineSource(lineMax int) (*csvSource, error) {
	first, err := o.first()
	if err != nil {
		return nil, err
	}
	if string(first) == "PAR1" {
		return nil, &FileError{File: o.file.URL, Reason: "the file is Parquet, not lines of JSON", Remedy: "name an archive of webhooks; exports of RevenueCat have commands of their own"}
	}
	input, err := o.text(first)
	if err != nil {
		return nil, err
	}
	if lineMax <= 0 {
		lineMax = LineMaxDefault
	}
	return &csvSource{file: o.file.URL, input: input, max: lineMax, buf: make([]byte, 256<<10)}, nil
}

// Next returns the next line that is not blank, without its end and without a byte
// order mark: good until the next call. io.EOF comes after the last one, a *RowError for
// a line that is rejected, after which reading goes on, and a *FileError, or the
// context's cause, for what ends the file: then it returns the same again.
func (r *LineReader) Next() ([]byte, error) {
	for r.done == nil {
		if r.row%checkEvery == 0 {
			if r.done = context.Cause(r.ctx); r.done != nil {
				break
			}
		}
		line, err := r.next()
		if err == nil && len(line) == 0 {
			continue
		}
		rejected, isRow := errors.AsType[*RowError](err)
		if err != nil && !isRow {
			r.done = err
			break
		}
		r.row++
		if r.row <= r.from {
			continue
		}
		if isRow {
			rejected.Row = r.row
		}
		return line, err
	}
	return nil, r.done
}

// next returns the next line, without the space around it.
func (r *LineReader) next() ([]byte, error) {
	s := r.lines
	length, err := s.lineEnd(0)
	s.at = s.lines + 1
	switch {
	case errors.Is(err, errLong):
		err := s.tooLong()
		if rejected, ok := errors.AsType[*RowError](err); ok {
			rejected.Reason = "the line is longer than " + strconv.Itoa(s.max) + " bytes"
			rejected.Remedy = "no webhook is that long: one event per line, each on a line of its own"
		}
		return nil, err
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, s.broken(err)
	}
	line := s.buf[s.begin : s.begin+length]
	if s.lines == 0 {
		line = bytes.TrimPrefix(line, utf8BOM)
	}
	s.consume(length, 1)
	return bytes.TrimSpace(line), nil
}

// Reject returns why the line at hand cannot be taken.
func (r *LineReader) Reject(reason, remedy string) *RowError {
	return &RowError{File: r.opened.file.URL, Row: r.row, Line: r.lines.at, Reason: reason, Remedy: remedy}
}

// Row returns the number of the line that Next looked at last, blank ones not counted:
// what Options.FromRow goes on after.
func (r *LineReader) Row() int64 { return r.row }

// Line returns where that line stands in the file; 1 is the first.
func (r *LineReader) Line() int64 { return r.lines.at }

// BytesRead returns how much of File.Size has been read. Any goroutine may ask.
func (r *LineReader) BytesRead() int64 { return r.opened.read.Load() }

// Close gives back what the reader holds. It may be called again.
func (r *LineReader) Close() error {
	if r.done == nil {
		r.done = io.ErrClosedPipe
	}
	return r.opened.Close()
}
