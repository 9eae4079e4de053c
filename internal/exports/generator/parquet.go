package generator

import (
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// groupRows and batchRows are how many rows a group of the file has, and how many are
// handed over at once.
const (
	groupRows = 50_000
	batchRows = 256
)

// parquetEncoder writes Parquet with Snappy, as the provider says it does. Its columns
// are in the order of their names.
type parquetEncoder[R any] struct {
	writer  *parquet.GenericWriter[any]
	columns []column[R] // in the order of the schema
	batch   []parquet.Row
}

func newParquet[R any](w io.Writer, columns []column[R]) *parquetEncoder[R] {
	group := parquet.Group{}
	byName := map[string]column[R]{}
	for _, c := range columns {
		group[c.name] = parquet.Optional(node(c.kind))
		byName[c.name] = c
	}
	e := &parquetEncoder[R]{}
	schema := parquet.NewSchema("export", group)
	for _, path := range schema.Columns() {
		e.columns = append(e.columns, byName[path[0]])
	}
	e.writer = parquet.NewGenericWriter[any](w, schema, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(groupRows))
	return e
}

func node(k kind) parquet.Node {
	switch k {
	case boolean:
		return parquet.Leaf(parquet.BooleanType)
	case timestamp:
		return parquet.Timestamp(parquet.Microsecond)
	case decimal:
		return parquet.Leaf(parquet.DoubleType)
	case integer:
		return parquet.Int(64)
	case text, list, object:
	}
	return parquet.String()
}

func (e *parquetEncoder[R]) write(row *R) error {
	out := make(parquet.Row, len(e.columns))
	for i := range e.columns {
		c := e.columns[i].cell(row)
		out[i] = value(e.columns[i].kind, c).Level(0, 1, i)
		if c.null {
			out[i] = parquet.NullValue().Level(0, 0, i)
		}
	}
	if e.batch = append(e.batch, out); len(e.batch) < batchRows {
		return nil
	}
	return e.flush()
}

func (e *parquetEncoder[R]) flush() error {
	_, err := e.writer.WriteRows(e.batch)
	e.batch = e.batch[:0]
	return err
}

func (e *parquetEncoder[R]) close() error {
	if err := e.flush(); err != nil {
		return err
	}
	return e.writer.Close()
}

func value(k kind, c cell) parquet.Value {
	switch k {
	case boolean:
		return parquet.BooleanValue(c.flag)
	case timestamp:
		return parquet.Int64Value(c.n * 1_000_000)
	case decimal:
		return parquet.DoubleValue(float64(c.n) / 1_000_000)
	case integer:
		return parquet.Int64Value(c.n)
	case list:
		return parquet.ByteArrayValue([]byte(`["` + strings.ReplaceAll(c.s, listSeparator, `","`) + `"]`))
	case text, object:
	}
	return parquet.ByteArrayValue([]byte(c.s))
}
