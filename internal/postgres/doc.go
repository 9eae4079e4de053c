// Package postgres is the only room that knows lib/pq. It opens a pool of
// connections with the time limits Sluice lives by, tells from an error who is
// to blame for it, and keeps the schema current:
//
//	Open, Ping                          a *sqlx.DB that survives a restart of the server
//	Code, Classify                      an error's SQLSTATE, and what follows from it
//	Listen                              what other processes say through NOTIFY
//	Migrate, MigrationsCurrent, Schema  the schema
//
// Four habits of lib/pq 1.12.3 that a caller meets:
//
// A statement cancelled through its context fails with SQLSTATE 57014, and
// errors.Is(err, context.DeadlineExceeded) is false: ask ctx.Err() first.
//
// The end of a context sends the server one request to cancel, and then waits for
// the answer to the statement. A request that comes before the server has read the
// statement is lost, and the statement runs to its end. So a context is a wish; what
// bounds a statement for certain is statement_timeout or lock_timeout in
// Config.Session.
//
// A connection that dies under a statement is reported as driver.ErrBadConn even
// when the statement may have been carried out, and database/sql then runs a
// statement that stands outside a transaction again. So a write that must not
// happen twice needs a key that says so, or a transaction.
//
// An argument costs two round trips unless the statement is prepared.
package postgres
