package purchases

import (
	"context"
	"database/sql"
	"sync"

	"github.com/jmoiron/sqlx"
)

// statement is a query that is worth planning once: it is read for every event.
type statement struct {
	query    string
	mu       sync.Mutex
	prepared *sql.Stmt
}

// on returns the statement prepared in db. Connections that come later prepare it
// when they first need it.
func (s *statement) on(ctx context.Context, db *sqlx.DB) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prepared != nil {
		return s.prepared, nil
	}
	prepared, err := db.PrepareContext(ctx, s.query)
	if err == nil {
		s.prepared = prepared
	}
	return prepared, err
}

// row runs the query and scans its one row.
func (s *statement) row(ctx context.Context, db *sqlx.DB, args []any, into ...any) error {
	prepared, err := s.on(ctx, db) //nolint:sqlclosecheck // it lives as long as the pool, which closes it
	if err != nil {
		return err
	}
	return prepared.QueryRowContext(ctx, args...).Scan(into...)
}
