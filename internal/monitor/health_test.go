package monitor_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
)

func TestMain(m *testing.M) {
	testenv.Main(m)
	contract.RequireSeen("GET /livez", "GET /readyz")
}

// What is waited for and comes by itself, on a busy machine.
const (
	patience = 10 * time.Second
	tick     = 5 * time.Millisecond
)

// TestReadyIsWhoCanAcceptSpends: the database decides, and the drain; without the
// broker and the provider spends are accepted, and wait.
func TestReadyIsWhoCanAcceptSpends(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	log := slog.New(slog.DiscardHandler)
	server, err := broker.StartEmbedded(broker.EmbeddedConfig{StoreDir: t.TempDir(), Log: log})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	conn, err := broker.Connect(t.Context(), broker.Config{URL: server.URL(), Log: log})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	provider := "ok"
	health := &monitor.Health{DB: db, Conn: conn, Provider: func() string { return provider }}
	ask := func(path string, answer http.HandlerFunc, status int, body string) {
		t.Helper()
		r, w := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil), httptest.NewRecorder()
		answer(w, r)
		contract.Check(t, contract.Exchange{Request: r, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()})
		require.Equal(t, status, w.Code)
		require.JSONEq(t, body, w.Body.String())
	}
	require.Eventually(t, func() bool { return conn.Status() == "connected" }, patience, tick)
	ask("/livez", health.Live, http.StatusOK, `{"status":"alive"}`)
	ask("/readyz", health.Ready, http.StatusOK, `{"status":"ready","database":"ok","broker":"connected","provider":"ok"}`)

	var newest int64
	require.NoError(t, db.Get(&newest,
		"DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version) RETURNING version_id"))
	ask("/readyz", health.Ready, http.StatusServiceUnavailable,
		`{"status":"not ready","database":"migrations are pending: run sluice migrate","broker":"connected","provider":"ok"}`)
	_, err = db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)", newest)
	require.NoError(t, err)

	provider = "does not answer"
	server.Stop()
	require.Eventually(t, func() bool { return conn.Status() == "reconnecting" }, patience, tick)
	ask("/readyz", health.Ready, http.StatusOK, `{"status":"ready","database":"ok","broker":"reconnecting","provider":"does not answer"}`)

	require.NoError(t, db.Close())
	ask("/readyz", health.Ready, http.StatusServiceUnavailable,
		`{"status":"not ready","database":"unavailable","broker":"reconnecting","provider":"does not answer"}`)
	health.Drain()
	ask("/readyz", health.Ready, http.StatusServiceUnavailable, `{"status":"draining"}`)
	ask("/livez", health.Live, http.StatusOK, `{"status":"alive"}`)
}
