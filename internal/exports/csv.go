package exports

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// csvSource splits a CSV into rows, without allocating per row. It differs from
// encoding/csv where exports need it: a row is bounded, a row that cannot be read
// costs that row only, and rows that were quoted by hand are understood (lenient.go).
//
// A row that is right by the rules (RFC 4180, any delimiter) may run over several
// lines. One that is not ends with its first line.
type csvSource struct {
	file  string
	input io.Reader
	delim byte
	max   int // bytes of a row

	buf        []byte
	begin, end int   // what of buf is read and not consumed
	done       error // what input ended with

	names  []string        // of the columns
	known  map[string]bool // names that a header may begin with
	record []byte          // the row at hand, without its line end
	spans  []span          // its cells
	at     int64           // line where it begins
	any    bool            // a row had as many cells as the header
	lines  int64           // consumed
	text   []byte          // a cell without its escapes
}

var (
	errLong   = errors.New("row too long")
	errHeader = errors.New("a header again") // see csvSource.next
)

func (s *csvSource) columns() []string { return s.names }

func (s *csvSource) line() int64 { return s.at }

func (s *csvSource) close() error { return nil }

// next goes to the next row. io.EOF: there is none. errHeader: a line that begins
// with the name of a column, as where files were joined; if headerAgain does not take
// it, asRow makes a row of it. skip promises that no cell is asked for.
func (s *csvSource) next(skip bool) error {
	for {
		length, err := s.lineEnd(0)
		s.at = s.lines + 1
		if errors.Is(err, errLong) {
			return s.tooLong()
		}
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return s.broken(err)
		}
		line := s.buf[s.begin : s.begin+length]
		switch {
		case len(line) == 0 || len(line) == 1 && line[0] == '\r':
			s.consume(length, 1)
			continue
		case s.startsLikeHeader(line):
			s.record = line
			s.consume(length, 1)
			return errHeader
		case skip && bytes.IndexByte(line, '"') < 0:
			s.consume(length, 1)
			s.any = true // or the file would not have been read up to here
			return nil
		}
		return s.split(length)
	}
}

// split finds the cells of the row that begins with a line of this length.
func (s *csvSource) split(first int) error {
	length, extra, ok := s.strict(first)
	if ok && len(s.spans) == len(s.names) {
		s.record = s.buf[s.begin : s.begin+length]
		s.consume(length, 1+extra)
		s.any = true
		return nil
	}
	width := len(s.spans)
	s.record = s.buf[s.begin : s.begin+first]
	understood := s.lenient(s.record)
	s.consume(first, 1)
	switch {
	case understood:
		return nil
	case !ok:
		return &RowError{
			File: s.file, Line: s.at, Reason: "a quoted cell is not closed, or goes on after its closing quote",
			Remedy: "correct the line, or deliver the export again",
		}
	}
	return s.wrongWidth(width)
}

func (s *csvSource) wrongWidth(width int) error {
	err := &RowError{
		File: s.file, Line: s.at, Reason: "the row has " + strconv.Itoa(width) + " columns, the header " + strconv.Itoa(len(s.names)),
		Remedy: "correct the line, or deliver the export again",
	}
	if width == 1 {
		other := byte(';')
		if s.delim == ';' {
			other = ','
		}
		if bytes.Count(s.record, []byte{other}) >= len(s.names)-1 {
			err.Reason += ": it is separated by " + string(other) + ", the header by " + string(s.delim)
			err.Remedy = "write header and rows with one delimiter"
			if !s.any { // then so are all others
				return &FileError{File: s.file, Line: s.at, Reason: err.Reason, Remedy: err.Remedy}
			}
		}
	}
	return err
}

// strict splits by the rules. It returns the length of the row in the buffer and how
// many lines it has beyond its first. not ok: it breaks the rules.
func (s *csvSource) strict(end int) (length, extra int, ok bool) {
	s.spans = s.spans[:0]
	data := s.buf[s.begin : s.begin+end]
	for at := 0; ; {
		if at >= len(data) || data[at] != '"' {
			next := bytes.IndexByte(data[at:], s.delim)
			if next < 0 {
				to := len(data)
				if to > at && data[to-1] == '\r' {
					to--
				}
				s.spans = append(s.spans, span{at, to, unquoted})
				return end, extra, true
			}
			s.spans = append(s.spans, span{at, at + next, unquoted})
			at += next + 1
			continue
		}
		cell := span{at + 1, at + 1, quoted}
		for {
			quote := bytes.IndexByte(data[cell.to:], '"')
			if quote < 0 { // the cell goes on in the next line
				cell.to = end
				next, err := s.lineEnd(end + 1)
				if err != nil {
					return 0, 0, false
				}
				end, extra = next, extra+1
				data = s.buf[s.begin : s.begin+end]
				continue
			}
			cell.to += quote
			if cell.to+1 == len(data) || data[cell.to+1] != '"' {
				break
			}
			cell.quoting = doubled
			cell.to += 2
		}
		s.spans = append(s.spans, cell)
		at = cell.to + 1
		if at == len(data) || at+1 == len(data) && data[at] == '\r' {
			return end, extra, true
		}
		if data[at] != s.delim {
			return 0, 0, false
		}
		at++
	}
}
