package postgres

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// CopyRows gathers rows in the text format of COPY. The zero value is ready.
type CopyRows struct {
	buffer []byte
	rows   int
	inside bool // a row was begun
}

// Len returns how many rows were ended.
func (c *CopyRows) Len() int { return c.rows }

// Size returns how many bytes the rows take.
func (c *CopyRows) Size() int { return len(c.buffer) }

// Reset drops the rows and keeps the memory.
func (c *CopyRows) Reset() { c.buffer, c.rows, c.inside = c.buffer[:0], 0, false }

// End ends a row.
func (c *CopyRows) End() {
	c.buffer = append(c.buffer, '\n')
	c.rows++
	c.inside = false
}

func (c *CopyRows) column() {
	if c.inside {
		c.buffer = append(c.buffer, '\t')
	}
	c.inside = true
}

// Null appends NULL.
func (c *CopyRows) Null() {
	c.column()
	c.buffer = append(c.buffer, '\\', 'N')
}

// Text appends a string. PostgreSQL refuses a NUL byte and invalid UTF-8 as a data error.
func (c *CopyRows) Text(s string) {
	c.column()
	c.buffer = appendCopied(c.buffer, s)
}

// JSON appends a document in its own bytes.
func (c *CopyRows) JSON(raw []byte) {
	c.column()
	if isPlain(raw) {
		c.buffer = append(c.buffer, raw...)
		return
	}
	c.buffer = appendCopied(c.buffer, raw)
}

// isPlain reports whether nothing of a long text needs an escape.
func isPlain(raw []byte) bool {
	return bytes.IndexByte(raw, '\\') < 0 && bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\t') < 0 && bytes.IndexByte(raw, '\r') < 0
}

// Int appends an integer.
func (c *CopyRows) Int(n int64) {
	c.column()
	c.buffer = strconv.AppendInt(c.buffer, n, 10)
}

// Bool appends a boolean.
func (c *CopyRows) Bool(b bool) {
	c.column()
	c.buffer = append(c.buffer, "ft"[btoi(b)])
}

// Time appends a moment, or NULL when it is zero.
func (c *CopyRows) Time(t time.Time) {
	if t.IsZero() {
		c.Null()
		return
	}
	c.column()
	c.buffer = appendTime(c.buffer, t.UTC())
}

// appendTime appends what PostgreSQL keeps of a moment in UTC, in the form that it reads
// fastest: 20060102 150405.999999Z, a fifth off RFC 3339.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if year < 1 || year > 9999 {
		return t.Truncate(time.Microsecond).AppendFormat(b, time.RFC3339Nano)
	}
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(b, int(month), 2)
	b = append(appendDigits(b, day, 2), ' ')
	b = appendDigits(b, hour, 2)
	b = appendDigits(b, minute, 2)
	b = appendDigits(b, second, 2)
	if micros := t.Nanosecond() / 1000; micros > 0 {
		b = appendDigits(append(b, '.'), micros, 6)
	}
	return append(b, 'Z')
}

// appendDigits appends a number with its leading zeros.
func appendDigits(b []byte, n, digits int) []byte {
	for range digits {
		b = append(b, '0')
	}
	for at := len(b) - 1; n > 0; at-- {
		b[at] = byte('0' + n%10)
		n /= 10
	}
	return b
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// appendCopied escapes what COPY's text format gives a meaning.
func appendCopied[T string | []byte](buffer []byte, s T) []byte {
	from := 0
	for i := range len(s) {
		var escaped byte
		switch s[i] {
		case '\\':
			escaped = '\\'
		case '\n':
			escaped = 'n'
		case '\r':
			escaped = 'r'
		case '\t':
			escaped = 't'
		default:
			continue
		}
		buffer = append(append(buffer, s[from:i]...), '\\', escaped)
		from = i + 1
	}
	return append(buffer, s[from:]...)
}

// copySend is how much is sent at once: the driver's own buffer takes as much.
const copySend = 60 << 10

// Copy adds rows to a table on a connection that is in a transaction, and returns
// when the server has taken them all. It does so to all of them or to none. A context
// that ends meanwhile is seen between two pieces of 60 kB; statement_timeout counts.
func Copy(ctx context.Context, conn *sqlx.Conn, table string, columns []string, rows *CopyRows) error {
	if rows.rows == 0 {
		return nil
	}
	err := conn.Raw(func(raw any) error {
		return copyIn(ctx, raw, "COPY "+table+" ("+strings.Join(columns, ", ")+") FROM STDIN", rows.buffer)
	})
	if err != nil {
		return fmt.Errorf("copy %d rows into %s: %w", rows.rows, table, err)
	}
	return nil
}

// copier is what lib/pq makes of a COPY.
type copier interface {
	driver.Stmt
	CopyData(ctx context.Context, line string) (driver.Result, error)
}

func copyIn(ctx context.Context, raw any, query string, rows []byte) (err error) {
	conn, ok := raw.(driver.Conn)
	if !ok {
		return errors.New("the driver is not lib/pq")
	}
	statement, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	copying, ok := statement.(copier)
	if !ok {
		return errors.New("the driver cannot copy")
	}
	for len(rows) > 0 && ctx.Err() == nil {
		end := len(rows)
		if end > copySend { // after the last whole row of a piece, or the first one when it is longer
			end = bytes.LastIndexByte(rows[:copySend], '\n') + 1
			if end == 0 {
				end = bytes.IndexByte(rows, '\n') + 1
			}
		}
		// CopyData ends the line itself.
		if _, err := copying.CopyData(context.WithoutCancel(ctx), string(rows[:end-1])); err != nil {
			return err
		}
		rows = rows[end:]
	}
	if ctx.Err() != nil {
		return ctx.Err() // the transaction is rolled back: nobody sees the part that was sent
	}
	_, err = statement.Exec(nil) //nolint:staticcheck // lib/pq ends a COPY by it
	return err
}

// Discard really closes a connection, which ends its locks, settings and temporary
// tables: handing it back to the pool would not.
func Discard(conn *sqlx.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}
