package outbox

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// statementTimeout ends a commit that hangs, such as on a stopped server. The
	// batch is then tried again on a new connection. It is longer than the limit
	// the server is given (planning), which leaves the cleaner error.
	statementTimeout = 12 * time.Second
	// keptMax is how much memory of a kind's rows is kept for the next batch, in bytes:
	// several times what a full batch takes.
	keptMax = 1 << 20
	// statementsMax bounds the prepared statements of a connection: one per
	// combination of kinds that occurred together. A few dozen are usual.
	statementsMax = 256
)

// planning pins the plans of the committer's statements to index look-ups. All
// of them reach rows by key; without this a plan made while a table was empty
// scans it whole for as long as the plan is kept. The time limit stands on the
// server's side as well, since lib/pq's cancelling is only a wish: a request that
// comes before the statement is read is lost.
const planning = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
	SET enable_material = off; SET jit = off; SET plan_cache_mode = force_generic_plan; SET statement_timeout = '10s'`

// session is one connection of a committer with its prepared statements. It is
// not safe for concurrent use.
type session struct {
	db         *sqlx.DB
	conn       *sqlx.Conn
	statements map[string]*cachedStatement
	sets       map[*Kind]*rowSet // memory of earlier batches
}

type cachedStatement struct {
	prepared *sql.Stmt
	kinds    []*Kind
}

// rowSet returns an empty set for the rows of a kind, in memory of an earlier batch:
// copying them into growing buffers took a fifth of what a spend allocated.
func (s *session) rowSet(kind *Kind) *rowSet {
	set := s.sets[kind]
	if set == nil || set.columns.size() > keptMax {
		set = newRowSet(kind)
		s.sets[kind] = set
		return set
	}
	set.reset()
	return set
}

// query runs a statement over the row sets and reports each row: the position of
// an effect and, when the statement returns one, a verdict.
func (s *session) query(st statement, sets map[*Kind]*rowSet, each func(position int, verdict string)) error {
	ctx, cancel := background(statementTimeout)
	defer cancel()
	prepared, err := s.prepare(st)
	if err != nil {
		return err
	}
	var args []any
	for _, kind := range prepared.kinds {
		args = sets[kind].args(args)
	}
	rows, err := prepared.prepared.QueryContext(ctx, args...)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return scanned(rows, each)
}

// scanned reports the rows of a statement's answer, and closes it.
func scanned(rows *sql.Rows, each func(position int, verdict string)) error {
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	var position int
	var verdict string
	into := []any{&position, &verdict}[:len(columns)]
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		each(position, verdict)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// prepare returns the statement, prepared on the session's own connection.
func (s *session) prepare(st statement) (*cachedStatement, error) {
	if cached, ok := s.statements[st.key]; ok {
		return cached, nil
	}
	ctx, cancel := background(statementTimeout)
	defer cancel()
	if len(s.statements) >= statementsMax {
		s.reset()
	}
	if s.conn == nil {
		conn, err := s.db.Connx(ctx)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		s.conn = conn
		if _, err := conn.ExecContext(ctx, planning); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	prepared, err := s.conn.PrepareContext(ctx, st.sql())
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", st.key, err)
	}
	cached := &cachedStatement{prepared: prepared, kinds: st.kinds}
	s.statements[st.key] = cached
	return cached, nil
}

// reset drops the connection; the next query makes a new one. The connection is
// really closed, not handed back: its settings and its state are ours alone.
func (s *session) reset() {
	for _, cached := range s.statements {
		_ = cached.prepared.Close()
	}
	clear(s.statements)
	if s.conn != nil {
		_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = s.conn.Close()
		s.conn = nil
	}
}
