package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/lib/pq"
)

// Class says who is to blame for an error, and so what to do about it.
type Class int

// The classes of errors.
const (
	// Other is everything that no rule below covers: a mistake in our SQL, a
	// missing right, a wrong password. Nil is Other, too.
	Other Class = iota

	// Data blames the values of one statement (SQLSTATE 22 and 23: out of range,
	// not JSON, a constraint). The same values fail again; others may pass.
	Data

	// Deadlock means the transaction lost against another one and left nothing
	// behind (40P01, 40001, 55P03): run it again.
	Deadlock

	// Unavailable blames the connection or the server (08, 25006, 53, 57P, 58, a
	// broken or refused connection). It says nothing about the values. After a
	// COMMIT the outcome is unknown.
	Unavailable

	// Canceled means the statement was stopped by its context or by
	// statement_timeout (57014). ctx.Err() tells which. After a COMMIT the
	// outcome is unknown.
	Canceled
)

// String returns the class as logs and metrics show it.
func (c Class) String() string {
	switch c {
	case Data:
		return "data"
	case Deadlock:
		return "deadlock"
	case Unavailable:
		return "unavailable"
	case Canceled:
		return "canceled"
	case Other:
		return "other"
	default:
		return "other"
	}
}

// Code returns the SQLSTATE of err, or "" when err does not come from the server.
func Code(err error) string {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return string(e.Code)
	}
	return ""
}

// Classify says who is to blame for err.
// Source: PostgreSQL manual, Appendix A, error codes.
func Classify(err error) Class {
	if code := Code(err); code != "" {
		return classifyCode(code)
	}
	switch {
	case err == nil:
		return Other
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Canceled
	case broken(err):
		return Unavailable
	default:
		return Other
	}
}

func classifyCode(code string) Class {
	switch code {
	case "40P01", "40001", "55P03": // deadlock, serialization failure, lock_timeout
		return Deadlock
	case "57014": // query_canceled
		return Canceled
	case "25006": // read-only transaction: the primary has become a standby
		return Unavailable
	}
	switch {
	case strings.HasPrefix(code, "22"), strings.HasPrefix(code, "23"):
		return Data
	case strings.HasPrefix(code, "08"), // connection
		strings.HasPrefix(code, "53"),  // out of memory, disk, connections
		strings.HasPrefix(code, "57P"), // shutting down, starting up, crashed
		strings.HasPrefix(code, "58"):  // input/output
		return Unavailable
	default:
		return Other
	}
}

// broken reports whether err means that the connection is gone or never was.
func broken(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, target := range []error{
		driver.ErrBadConn, sql.ErrConnDone, net.ErrClosed,
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
