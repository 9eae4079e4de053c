package postgres

import (
	"context"
	"sync"

	"github.com/jmoiron/sqlx"
)

// ByKey are the run-time parameters of a pool (Config.Session) that only reads rows by
// key: index look-ups, planned once. Without them a plan made while a table was
// empty may scan it whole for as long as it is kept.
var ByKey = map[string]string{
	"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off", "enable_material": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off", "plan_cache_mode": "force_generic_plan",
}

// Prepared is a query that every connection of a pool parses and plans once. It is
// safe for concurrent use; the zero value with DB and Query set is ready.
type Prepared struct {
	DB    *sqlx.DB
	Query string

	mu        sync.Mutex
	statement *sqlx.Stmt
}

// Queryx runs the query. It is prepared by the first call that reaches the server.
func (p *Prepared) Queryx(ctx context.Context, args ...any) (*sqlx.Rows, error) {
	statement, err := p.prepare(ctx) //nolint:sqlclosecheck // it lives as long as the pool, whose end closes it
	if err != nil {
		return nil, err
	}
	return statement.QueryxContext(ctx, args...)
}

func (p *Prepared) prepare(ctx context.Context) (*sqlx.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.statement != nil {
		return p.statement, nil
	}
	statement, err := p.DB.PreparexContext(ctx, p.Query)
	if err != nil {
		return nil, err
	}
	p.statement = statement
	return statement, nil
}
