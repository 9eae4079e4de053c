package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
)

type said struct {
	heard   postgres.Heard
	payload string
}

func TestListenHearsNoticesAlsoAfterALostConnection(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	heard := make(chan said, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- postgres.Listen(ctx, postgres.Config{URL: testenv.PostgresURL(t)}, "news", func(h postgres.Heard, payload string) { heard <- said{h, payload} })
	}()
	next := func() said {
		t.Helper()
		select {
		case s := <-heard:
			return s
		case <-time.After(10 * time.Second):
			t.Fatal("nothing heard")
			return said{}
		}
	}
	for _, payload := range []string{"one", "two"} {
		require.Equal(t, said{postgres.Connected, ""}, next())
		_, err := db.ExecContext(t.Context(), `SELECT pg_notify('news', $1)`, payload)
		require.NoError(t, err)
		require.Equal(t, said{postgres.Notice, payload}, next())
		_, err = db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
		require.NoError(t, err)
		require.Equal(t, said{postgres.Deaf, ""}, next())
	}
	cancel()
	require.NoError(t, <-ended)
}

func TestListenerSaysWhatThePoolsSay(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u:p%2Fw@localhost/s":            "postgres://u:p%2Fw@localhost/s?application_name=sluice&connect_timeout=10&sslmode=disable",
		"postgres:///s?host=/run/pg":                "postgres:///s?application_name=sluice&connect_timeout=10&host=%2Frun%2Fpg&sslmode=disable",
		"postgres://db.example/s?sslmode=require":   "postgres://db.example/s?application_name=sluice&connect_timeout=10&sslmode=require",
		"postgres://db.example/s?connect_timeout=3": "postgres://db.example/s?application_name=sluice&connect_timeout=3",
	} {
		got, err := postgres.ListenerDSN(postgres.Config{URL: url})
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	got, err := postgres.ListenerDSN(postgres.Config{URL: "host=/run/pg dbname=s"})
	require.NoError(t, err)
	assert.Contains(t, got, " sslmode='disable'")
	_, err = postgres.ListenerDSN(postgres.Config{})
	require.Error(t, err)
}
