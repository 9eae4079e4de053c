package generator

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// kind is what a column holds.
type kind byte

const (
	text kind = iota
	boolean
	timestamp
	decimal // money and shares: millionths
	integer
	list
	object // JSON
)

// cell is a value of some kind; null: there is none.
type cell struct {
	null bool
	flag bool
	n    int64  // of a timestamp seconds since 1970
	s    string // of a list its members, with listSeparator between them
}

const listSeparator = "|"

// column is one of a feed, and how its cell is made of a row.
type column[R any] struct {
	name string
	kind kind
	cell func(*R) cell
}

// encoder writes rows.
type encoder[R any] interface {
	write(row *R) error
	close() error
}

// csvEncoder writes CSV in the way of a template's version.
type csvEncoder[R any] struct {
	w       io.Writer
	zip     io.Closer // nil: not compressed
	opts    Options
	columns []column[R]
	buf     []byte
}

const bufferSize = 256 << 10

func newCSV[R any](w io.Writer, opts Options, columns []column[R]) *csvEncoder[R] {
	e := &csvEncoder[R]{w: w, opts: opts, columns: columns, buf: make([]byte, 0, bufferSize+16<<10)}
	for i, c := range columns {
		if i > 0 {
			e.buf = append(e.buf, opts.Delimiter)
		}
		e.buf = append(e.buf, c.name...)
	}
	e.buf = append(e.buf, '\n')
	return e
}

func newGzip[R any](w io.Writer, opts Options, columns []column[R]) (*csvEncoder[R], error) {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	e := newCSV(zip, opts, columns)
	e.zip = zip
	return e, nil
}

func (e *csvEncoder[R]) write(row *R) error {
	for i := range e.columns {
		if i > 0 {
			e.buf = append(e.buf, e.opts.Delimiter)
		}
		e.append(e.columns[i].kind, e.columns[i].cell(row))
	}
	e.buf = append(e.buf, '\n')
	if len(e.buf) < bufferSize {
		return nil
	}
	return e.flush()
}

func (e *csvEncoder[R]) flush() error {
	_, err := e.w.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}

func (e *csvEncoder[R]) close() error {
	if err := e.flush(); err != nil || e.zip == nil {
		return err
	}
	return e.zip.Close()
}

func (e *csvEncoder[R]) append(k kind, c cell) {
	if c.null {
		return
	}
	switch k {
	case text:
		e.quoteIfNeeded(c.s)
	case boolean:
		e.buf = e.appendBool(c.flag)
	case timestamp:
		e.buf = appendTime(e.buf, time.Unix(c.n, 0).UTC())
	case decimal:
		e.buf = appendMicros(e.buf, c.n)
	case integer:
		e.buf = strconv.AppendInt(e.buf, c.n, 10)
	case list:
		e.appendList(c.s)
	case object:
		e.appendObject(c.s)
	}
}

// appendBool: template 3 has t and f.
func (e *csvEncoder[R]) appendBool(flag bool) []byte {
	switch {
	case e.opts.Version > OldestVersion:
		return strconv.AppendBool(e.buf, flag)
	case flag:
		return append(e.buf, 't')
	}
	return append(e.buf, 'f')
}

// appendList: template 3 has braces, later ones brackets and quotes.
func (e *csvEncoder[R]) appendList(list string) {
	if e.opts.Version == OldestVersion {
		e.quoteIfNeeded("{" + strings.ReplaceAll(list, listSeparator, ",") + "}")
		return
	}
	e.buf = append(e.buf, '"', '[')
	before := `""`
	for member := range strings.SplitSeq(list, listSeparator) {
		e.buf = append(append(append(e.buf, before...), member...), `""`...)
		before = `, ""`
	}
	e.buf = append(e.buf, ']', '"')
}

// appendObject: template 5 is written as a hand would that forgets to double the
// quotes within; all others as the samples of the provider's docs.
func (e *csvEncoder[R]) appendObject(s string) {
	if e.opts.Version != 5 || e.opts.Standard {
		e.quoteIfNeeded(s)
		return
	}
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, s...)
	e.buf = append(e.buf, '"')
}

func (e *csvEncoder[R]) quoteIfNeeded(s string) {
	plain := true
	for i := range len(s) {
		if c := s[i]; c == '"' || c == e.opts.Delimiter || c == '\n' || c == '\r' {
			plain = false
			break
		}
	}
	if plain {
		e.buf = append(e.buf, s...)
		return
	}
	e.buf = append(e.buf, '"')
	for i := range len(s) {
		if s[i] == '"' {
			e.buf = append(e.buf, '"')
		}
		e.buf = append(e.buf, s[i])
	}
	e.buf = append(e.buf, '"')
}

// appendTime writes 2006-01-02 15:04:05.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(b, byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10))
	for _, part := range [...]struct {
		before byte
		n      int
	}{{'-', int(month)}, {'-', day}, {' ', hour}, {':', minute}, {':', second}} {
		b = append(b, part.before, byte('0'+part.n/10), byte('0'+part.n%10))
	}
	return b
}

// appendMicros writes millionths as a decimal without zeros at its end.
func appendMicros(b []byte, n int64) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/1_000_000, 10)
	if n %= 1_000_000; n == 0 {
		return b
	}
	b = append(b, '.')
	for scale := int64(100_000); n > 0; scale /= 10 {
		b = append(b, byte('0'+n/scale))
		n %= scale
	}
	return b
}
