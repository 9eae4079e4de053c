package exports

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// parquetSource reads a Parquet file column by column: only the columns that are
// asked for, and of each a page at a time.
type parquetSource struct {
	file   string
	names  []string
	leaves []leaf
	groups []parquet.RowGroup
	group  int   // of the row at hand
	row    int64 // of the row at hand within its group
	before int64 // rows of the groups before
}

// leaf is a column of the file.
type leaf struct {
	index  int // among the leaves of the schema; -1: a list or an object, which no rule reads
	as     reading
	cursor *cursor
}

// footerMax bounds what a file may say of itself, and pageRead is read at once of a
// column in a bucket.
const (
	footerMax = 64 << 20
	pageRead  = 256 << 10
)

func newParquet(ctx context.Context, o *opened, f *feed) (s *parquetSource, err error) {
	defer func() { recovered(o.file.URL, &err, recover()) }()
	if err := checkFooter(o); err != nil {
		return nil, err
	}
	file, err := parquet.OpenFile(countingAt{ctx, o}, o.file.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(pageRead))
	if err != nil {
		return nil, damagedParquet(o.file.URL, err)
	}
	s = &parquetSource{file: o.file.URL, groups: file.RowGroups(), row: -1}
	known := f.known()
	for _, column := range file.Root().Columns() {
		name := strings.ToLower(strings.TrimSpace(column.Name()))
		l := leaf{index: -1}
		if column.Leaf() && !column.Repeated() {
			l = leaf{index: column.Index(), as: readingOf(column.Type())}
		} else if known[name] {
			return nil, &FileError{
				File: o.file.URL, Line: 1, Reason: "column " + name + " holds lists or objects", Remedy: "deliver the export as CSV",
			}
		}
		s.names = append(s.names, name)
		s.leaves = append(s.leaves, l)
	}
	return s, nil
}

// checkFooter looks at the file's last bytes before anything believes them.
func checkFooter(o *opened) error {
	var last [8]byte
	if o.file.Size < 12 {
		return damagedParquet(o.file.URL, io.ErrUnexpectedEOF)
	}
	if n, err := o.blob.ReadAt(last[:], o.file.Size-8); n < len(last) {
		return damagedParquet(o.file.URL, err)
	}
	size := int64(binary.LittleEndian.Uint32(last[:4]))
	if string(last[4:]) != "PAR1" || size > o.file.Size-12 || size > footerMax {
		return &FileError{
			File: o.file.URL, Reason: "the Parquet file does not end as one: it is cut off, or damaged", Remedy: "copy or deliver the file again",
		}
	}
	return nil
}

func damagedParquet(file string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &FileError{File: file, Reason: "the Parquet file is damaged or cannot be read", Remedy: "copy or deliver the file again", Err: err}
}

// recovered turns a panic of the Parquet library over a damaged file into an error.
func recovered(file string, err *error, panicked any) {
	if panicked != nil {
		*err = damagedParquet(file, fmt.Errorf("%v", panicked))
	}
}

// countingAt counts what is read.
type countingAt struct {
	ctx context.Context // of the open file; io.ReaderAt has none
	o   *opened
}

func (c countingAt) ReadAt(b []byte, offset int64) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.o.blob.ReadAt(b, offset)
	c.o.read.Add(int64(n))
	return n, err
}

func (s *parquetSource) columns() []string { return s.names }
func (s *parquetSource) line() int64       { return s.before + s.row + 2 }

func (s *parquetSource) headerAgain(func([]string) bool) bool { return false }
func (s *parquetSource) asRow() error                         { return nil }

// next goes to the next row. Columns follow when they are asked for.
func (s *parquetSource) next(bool) error {
	s.row++
	for s.group < len(s.groups) && s.row >= s.groups[s.group].NumRows() {
		s.before += s.groups[s.group].NumRows()
		s.group, s.row = s.group+1, 0
		if err := s.close(); err != nil {
			return err
		}
	}
	if s.group >= len(s.groups) {
		return io.EOF
	}
	return nil
}

func (s *parquetSource) cell(column int) (text []byte, err error) {
	defer func() { recovered(s.file, &err, recover()) }()
	l := &s.leaves[column]
	if l.cursor == nil {
		l.cursor = &cursor{pages: s.groups[s.group].ColumnChunks()[l.index].Pages()}
	}
	value, err := l.cursor.at(s.row)
	if err != nil {
		err := damagedParquet(s.file, err)
		var told *FileError
		if errors.As(err, &told) {
			told.Line = s.line()
		}
		return nil, err
	}
	if value.IsNull() {
		return nil, nil
	}
	l.cursor.text = l.as.append(l.cursor.text[:0], value)
	return l.cursor.text, nil
}

// close ends the columns of the group at hand.
func (s *parquetSource) close() (err error) {
	defer func() { recovered(s.file, &err, recover()) }()
	for i := range s.leaves {
		if c := s.leaves[i].cursor; c != nil {
			s.leaves[i].cursor = nil
			err = errors.Join(err, c.close())
		}
	}
	return err
}

// cursor walks over the values of one column of a group.
type cursor struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	read   [128]parquet.Value
	have   int   // how many of read are values
	used   int   // how many of them are behind the cursor
	row    int64 // of the value after those
	text   []byte
}

// at returns the value of a row, the one at hand or a later one.
func (c *cursor) at(row int64) (parquet.Value, error) {
	switch {
	case row < c.row:
		return c.read[c.used-1], nil // asked for again
	case row > c.row: // rows were skipped
		if err := c.seek(row); err != nil {
			return parquet.Value{}, err
		}
	}
	if c.used == c.have {
		if err := c.more(); err != nil {
			return parquet.Value{}, err
		}
	}
	c.used++
	c.row++
	return c.read[c.used-1], nil
}

func (c *cursor) seek(row int64) error {
	c.release()
	c.have, c.used, c.row = 0, 0, row
	return c.pages.SeekToRow(row)
}

func (c *cursor) more() error {
	for {
		if c.values != nil {
			n, err := c.values.ReadValues(c.read[:])
			if c.have, c.used = n, 0; n > 0 {
				return nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		c.release()
		page, err := c.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // the group has more rows than the column
		}
		if err != nil {
			return err
		}
		c.page, c.values = page, page.Values()
	}
}

func (c *cursor) release() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	c.page, c.values = nil, nil
}

func (c *cursor) close() error {
	c.release()
	return c.pages.Close()
}
