package outbox

import (
	"encoding/hex"
	"strconv"
	"time"
)

// Columns collects the values of many rows of one kind as PostgreSQL array
// literals, one per column. Writing the literals directly spares a reflection
// and an allocation per value, which at thousands of rows a second is most of a
// driver's cost.
type Columns struct {
	literals [][]byte
	next     int
}

// NewColumns returns no rows of so many columns.
func NewColumns(width int) *Columns {
	c := &Columns{literals: make([][]byte, width)}
	for i := range c.literals {
		c.literals[i] = append(make([]byte, 0, 256), '{')
	}
	return c
}

func (c *Columns) column() *[]byte {
	literal := &c.literals[c.next]
	c.next = (c.next + 1) % len(c.literals)
	if len(*literal) > 1 {
		*literal = append(*literal, ',')
	}
	return literal
}

// Text appends a string, quoted. A NUL byte or invalid UTF-8 is refused by
// PostgreSQL as a data error.
func (c *Columns) Text(s string) { appendQuoted(c.column(), s) }

// JSON appends a JSON document in its own bytes.
func (c *Columns) JSON(raw []byte) { appendQuoted(c.column(), raw) }

func appendQuoted[T string | []byte](literal *[]byte, s T) {
	*literal = append(*literal, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			*literal = append(*literal, '\\')
		}
		*literal = append(*literal, s[i])
	}
	*literal = append(*literal, '"')
}

// TextOrNull appends a string, or NULL when it is empty.
func (c *Columns) TextOrNull(s string) {
	if s == "" {
		c.null()
		return
	}
	c.Text(s)
}

// Bytes appends raw bytes, as bytea in hex.
func (c *Columns) Bytes(raw []byte) {
	literal := c.column()
	*literal = append(*literal, `"\\x`...)
	*literal = hex.AppendEncode(*literal, raw)
	*literal = append(*literal, '"')
}

// Int appends an integer.
func (c *Columns) Int(n int64) {
	literal := c.column()
	*literal = strconv.AppendInt(*literal, n, 10)
}

// Bool appends a boolean.
func (c *Columns) Bool(b bool) {
	literal := c.column()
	*literal = strconv.AppendBool(*literal, b)
}

// Time appends a moment, or NULL when it is zero.
func (c *Columns) Time(t time.Time) {
	if t.IsZero() {
		c.null()
		return
	}
	literal := c.column()
	*literal = append(*literal, '"')
	*literal = t.UTC().AppendFormat(*literal, time.RFC3339Nano)
	*literal = append(*literal, '"')
}

func (c *Columns) null() {
	literal := c.column()
	*literal = append(*literal, "NULL"...)
}

// Args appends the finished literals as statement arguments, which are good until the
// next Reset.
func (c *Columns) Args(into []any) []any {
	for i, literal := range c.literals {
		c.literals[i] = append(literal, '}')
		into = append(into, c.literals[i])
	}
	return into
}

// Reset begins anew, in the same memory.
func (c *Columns) Reset() {
	for i, literal := range c.literals {
		c.literals[i] = append(literal[:0], '{')
	}
	c.next = 0
}

// size returns how much memory the columns keep, in bytes.
func (c *Columns) size() int {
	size := 0
	for _, literal := range c.literals {
		size += cap(literal)
	}
	return size
}
