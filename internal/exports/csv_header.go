package exports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// columnNameMax is more than the longest name of a column that we know, in bytes.
const columnNameMax = 64

var utf8BOM = []byte("\xef\xbb\xbf")

// newCSV reads the header. Errors are *FileError.
func newCSV(file string, input io.Reader, rowMax int, known map[string]bool) (*csvSource, error) {
	s := &csvSource{file: file, input: input, max: rowMax, buf: make([]byte, 256<<10), known: known}
	for {
		length, err := s.lineEnd(0)
		if err != nil {
			return nil, s.noHeader(err)
		}
		line := s.buf[s.begin : s.begin+length]
		if s.lines == 0 {
			line = bytes.TrimPrefix(line, utf8BOM)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			s.at = s.lines + 1
			s.names, s.delim, err = s.header(line)
			s.consume(length, 1)
			return s, err
		}
		s.consume(length, 1)
	}
}

func (s *csvSource) noHeader(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return &FileError{File: s.file, Reason: "there is no header", Remedy: "an export has one even without rows: deliver it again", Err: ErrEmpty}
	case errors.Is(err, errLong):
		return &FileError{
			File: s.file, Line: 1, Reason: "the first line is longer than " + strconv.Itoa(s.max) + " bytes",
			Remedy: "this is no CSV with a header: name an export's file",
		}
	}
	return s.broken(err)
}

// header splits a header by the delimiter that it has more of.
func (s *csvSource) header(line []byte) (names []string, delim byte, err error) {
	count := func(d byte) int { return bytes.Count(line, []byte{d}) }
	if delim = ','; count(';') > count(',') {
		delim = ';'
	}
	for _, other := range []byte("\t|") {
		if count(other) > count(delim) {
			return nil, 0, &FileError{
				File: s.file, Line: s.at, Reason: fmt.Sprintf("the columns are separated by %q", other),
				Remedy: "exports have commas, customer lists semicolons: name the file as it was delivered",
			}
		}
	}
	for name := range bytes.SplitSeq(bytes.TrimRight(line, "\r"), []byte{delim}) {
		names = append(names, normalName(name))
	}
	return names, delim, nil
}

// normalName is how names of columns are compared.
func normalName(name []byte) string {
	return strings.ToLower(strings.Trim(strings.TrimSpace(string(name)), `"`))
}

func (s *csvSource) startsLikeHeader(line []byte) bool {
	line = bytes.TrimPrefix(bytes.TrimPrefix(line, utf8BOM), []byte{'"'})
	end := bytes.IndexAny(line[:min(len(line), columnNameMax)], ",;\"\r")
	return end > 0 && s.known[string(line[:end])]
}

// headerAgain makes the line at hand the header of what follows, if it has every
// column that accept asks for.
func (s *csvSource) headerAgain(accept func(names []string) bool) bool {
	names, delim, err := s.header(bytes.TrimPrefix(s.record, utf8BOM))
	if err != nil || !accept(names) {
		return false
	}
	s.names, s.delim = names, delim
	return true
}

func (s *csvSource) asRow() error {
	if s.lenient(s.record) {
		return nil
	}
	return s.wrongWidth(bytes.Count(s.record, []byte{s.delim}) + 1)
}
