package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestErrorsAreClassified(t *testing.T) {
	t.Parallel()
	server := func(code string) error { return fmt.Errorf("insert: %w", &pq.Error{Code: pqerror.Code(code)}) }
	tests := []struct {
		name string
		err  error
		want postgres.Class
	}{
		{"nothing", nil, postgres.Other},
		{"not JSON", server("22P02"), postgres.Data},
		{"out of range", server("22003"), postgres.Data},
		{"unique violation", server("23505"), postgres.Data},
		{"check violation", server("23514"), postgres.Data},
		{"deadlock", server("40P01"), postgres.Deadlock},
		{"serialization failure", server("40001"), postgres.Deadlock},
		{"lock timeout", server("55P03"), postgres.Deadlock},
		{"connection failure", server("08006"), postgres.Unavailable},
		{"read-only", server("25006"), postgres.Unavailable},
		{"too many connections", server("53300"), postgres.Unavailable},
		{"disk full", server("53100"), postgres.Unavailable},
		{"shutdown", server("57P01"), postgres.Unavailable},
		{"starting up", server("57P03"), postgres.Unavailable},
		{"input/output", server("58030"), postgres.Unavailable},
		{"canceled by the server", server("57014"), postgres.Canceled},
		{"syntax", server("42601"), postgres.Other},
		{"wrong password", server("28P01"), postgres.Other},
		{"bad connection", driver.ErrBadConn, postgres.Unavailable},
		{"cut", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), postgres.Unavailable},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, postgres.Unavailable},
		{"no such host", &net.DNSError{}, postgres.Unavailable},
		{"canceled before it was sent", context.Canceled, postgres.Canceled},
		{"too late before it was sent", fmt.Errorf("commit: %w", context.DeadlineExceeded), postgres.Canceled},
		{"ours", errors.New("mistake"), postgres.Other},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, postgres.Classify(test.err))
		})
	}
	assert.Equal(t, "23505", postgres.Code(server("23505")))
	assert.Empty(t, postgres.Code(io.EOF))
	assert.Empty(t, postgres.Code(nil))
}

func TestErrorsOfARealServerAreClassified(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1), (2)`)
	require.NoError(t, err)

	_, err = db.ExecContext(t.Context(), `INSERT INTO numbers VALUES (1)`)
	assert.Equal(t, "23505", postgres.Code(err))
	assert.Equal(t, postgres.Data, postgres.Classify(err))

	_, err = db.ExecContext(t.Context(), `SELECT $1::jsonb`, "{")
	assert.Equal(t, postgres.Data, postgres.Classify(err))

	tx, err := db.BeginTxx(t.Context(), &sql.TxOptions{ReadOnly: true})
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), `DELETE FROM numbers`)
	require.NoError(t, tx.Rollback())
	assert.Equal(t, postgres.Unavailable, postgres.Classify(err))

	// A session that somebody ends under us.
	conn, err := db.Connx(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	var pid int
	require.NoError(t, conn.GetContext(t.Context(), &pid, `SELECT pg_backend_pid()`))
	_, err = db.ExecContext(t.Context(), `SELECT pg_terminate_backend($1, 10000)`, pid)
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), `SELECT 1`)
	assert.Equal(t, postgres.Unavailable, postgres.Classify(err), "%v", err)
}

// lib/pq's habit: the cause is the context, and the error does not say so.
func TestCanceledStatementIsClassified(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(ctx, `SELECT pg_sleep(60)`)
		ended <- err
	}()
	// Not before it runs: a cancel request that comes earlier is lost, see the package comment.
	require.Eventually(t, func() bool {
		var runs bool
		err := db.GetContext(t.Context(), &runs, `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND query = 'SELECT pg_sleep(60)' AND wait_event = 'PgSleep')`)
		return err == nil && runs
	}, 20*time.Second, 10*time.Millisecond)
	cancel()
	err := <-ended
	assert.Equal(t, postgres.Canceled, postgres.Classify(err), "%v", err)
	assert.NotErrorIs(t, err, context.Canceled, "lib/pq has mended its ways: tell the package comment")
}

func TestDeadlockIsClassified(t *testing.T) {
	t.Parallel()
	db := open(t, postgres.Config{URL: testenv.PostgresURL(t), Session: map[string]string{"deadlock_timeout": "10ms"}})
	_, err := db.ExecContext(t.Context(), `CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1), (2)`)
	require.NoError(t, err)
	lock := `UPDATE numbers SET n = n WHERE n = $1`
	one, err := db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = one.Rollback() }()
	two, err := db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = two.Rollback() }()
	_, err = one.ExecContext(t.Context(), lock, 1)
	require.NoError(t, err)
	_, err = two.ExecContext(t.Context(), lock, 2)
	require.NoError(t, err)

	crossed := make(chan error, 1)
	go func() {
		_, err := one.ExecContext(t.Context(), lock, 2)
		if err != nil {
			_ = one.Rollback()
		}
		crossed <- err
	}()
	_, err = two.ExecContext(t.Context(), lock, 1)
	if err != nil {
		_ = two.Rollback()
	}
	err = errors.Join(err, <-crossed) // one of the two lost
	assert.Equal(t, postgres.Deadlock, postgres.Classify(err), "%v", err)
}
