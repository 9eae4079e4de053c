package outbox

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// advisoryLock is a lock of the database's, held by one connection: it is free
// again the moment its holder's connection ends, however that ends.
type advisoryLock struct {
	db   *sqlx.DB
	key  int64
	conn *sqlx.Conn
}

// hold takes the lock if it is free, or makes sure that it is still ours.
func (l *advisoryLock) hold(ctx context.Context) (mine bool, err error) {
	if l.conn != nil {
		if err := l.conn.PingContext(ctx); err == nil {
			return true, nil
		}
		l.release()
	}
	conn, err := l.db.Connx(ctx)
	if err != nil {
		return false, fmt.Errorf("advisory lock: %w", err)
	}
	if err := conn.GetContext(ctx, &mine, "SELECT pg_try_advisory_lock($1)", l.key); err != nil {
		_ = conn.Close()
		return false, fmt.Errorf("advisory lock: %w", err)
	}
	if !mine {
		return false, conn.Close()
	}
	l.conn = conn
	return true, nil
}

// release closes the holding connection, which frees the lock.
func (l *advisoryLock) release() {
	if l.conn == nil {
		return
	}
	_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = l.conn.Close()
	l.conn = nil
}
