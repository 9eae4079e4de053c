package postgres_test

import (
	"bytes"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
)

func TestOpenDoesNotNeedTheServer(t *testing.T) {
	t.Parallel()
	s := testenv.DurablePostgres(t)
	s.Stop()
	db := open(t, postgres.Config{URL: s.URL()})
	require.Error(t, postgres.Ping(t.Context(), db))
	s.Start()
	require.NoError(t, postgres.Ping(t.Context(), db), "found when it is back")
	s.Kill()
	s.Start()
	require.NoError(t, postgres.Ping(t.Context(), db), "and again after a crash")
}

// Over TCP, too: the tests' own servers listen on sockets only.
func TestServerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	db := open(t, postgres.Config{URL: "postgres://u@" + address + "/gems"})
	err = postgres.Ping(t.Context(), db)
	require.ErrorContains(t, err, "connection refused")
	assert.Equal(t, postgres.Unavailable, postgres.Classify(err))
}

func TestEveryConnectionHasTheSession(t *testing.T) {
	t.Parallel()
	db := open(t, postgres.Config{
		URL: testenv.PostgresURL(t), MaxConns: 3,
		Session: map[string]string{"lock_timeout": "1234ms", "work_mem": "5MB"},
	})
	for range 3 { // each holds a connection until the end
		conn, err := db.Connx(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		var row struct {
			Lock, Mem, App string
		}
		require.NoError(t, conn.GetContext(t.Context(), &row, `SELECT current_setting('lock_timeout') AS lock,
			current_setting('work_mem') AS mem, current_setting('application_name') AS app`))
		assert.Equal(t, "1234ms", row.Lock)
		assert.Equal(t, "5MB", row.Mem)
		assert.Equal(t, "sluice", row.App)
	}
	assert.Equal(t, 3, db.Stats().OpenConnections)
}

func TestWarningsOfTheServerAreLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	db := open(t, postgres.Config{URL: testenv.PostgresURL(t), Log: slog.New(slog.NewTextHandler(&out, nil))})
	_, err := db.ExecContext(t.Context(), `DO $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; END $$`)
	require.NoError(t, err)
	assert.Contains(t, out.String(), "a warning")
	assert.NotContains(t, out.String(), "a notice", "notices are for debugging")
}

func TestAddressForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, url              string
		host, database, mode   string
		application, statement string
		timeout                time.Duration
	}{
		{"url", "postgres://u@db.example/gems", "db.example", "gems", "", "sluice", "", 10 * time.Second},
		{"postgresql url", "postgresql://u@db.example/gems?sslmode=verify-full", "db.example", "gems", "verify-full", "sluice", "", 10 * time.Second},
		{"key=value", "host=db.example dbname=gems user=u", "db.example", "gems", "", "sluice", "", 10 * time.Second},
		{"loopback name", "postgres://u@localhost/gems", "localhost", "gems", "disable", "sluice", "", 10 * time.Second},
		{"loopback v4", "postgres://u@127.0.0.1:6432/gems", "127.0.0.1", "gems", "disable", "sluice", "", 10 * time.Second},
		{"loopback v6", "postgres://u@[::1]:6432/gems", "::1", "gems", "disable", "sluice", "", 10 * time.Second},
		{"loopback, TLS wanted", "postgres://u@localhost/gems?sslmode=require", "localhost", "gems", "require", "sluice", "", 10 * time.Second},
		{"one of two is far", "postgres://u@localhost,db.example/gems", "localhost", "gems", "", "sluice", "", 10 * time.Second},
		{"unix socket", "postgres:///gems?host=/run/postgresql&user=u", "/run/postgresql", "gems", "disable", "sluice", "", 10 * time.Second},
		{"unix socket, key=value", "host=/run/postgresql dbname=gems user=u", "/run/postgresql", "gems", "disable", "sluice", "", 10 * time.Second},
		{
			"the address wins", "postgres://u@db.example/gems?connect_timeout=3&application_name=mine&statement_timeout=5s",
			"db.example", "gems", "", "mine", "5s", 3 * time.Second,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := postgres.Parse(postgres.Config{URL: test.url})
			require.NoError(t, err)
			assert.Equal(t, test.host, got.Host)
			assert.Equal(t, test.database, got.Database)
			assert.Equal(t, test.mode, string(got.SSLMode))
			assert.Equal(t, test.application, got.ApplicationName)
			assert.Equal(t, test.statement, got.Runtime["statement_timeout"])
			assert.Equal(t, test.timeout, got.ConnectTimeout)
		})
	}
}

func TestBadAddressIsToldWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "  ", "postgres://u:s3cret@host:port/db", "postgres://u:s3cret@ho st/db", "postgres://u:s3%cret@host/db",
		"host=a password=s3cret oops", "postgres://u:s3cret@host/db?sslmode=perhaps",
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
		require.ErrorContains(t, err, "database URL", url)
		assert.NotContains(t, err.Error(), "s3", url)
	}
}
