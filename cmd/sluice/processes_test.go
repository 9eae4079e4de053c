package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// farm is every role as a process of its own, with settings from the environment.
type farm struct {
	site     // its requests go to `serve`; it has no `sluice dev`
	server   *testenv.DurableServer
	natsArgs []string
	nats     *program
	serve    *program
}

// newFarm starts a simulator and a broker, migrates an empty database, and starts
// `serve` on them. settings are NAME=value, in place of its own.
func newFarm(t *testing.T, settings ...string) *farm {
	t.Helper()
	f := &farm{
		site: site{t: t, folder: newFolder(t), apiAddr: freeAddr(t), simAddr: freeAddr(t), client: &http.Client{Timeout: 45 * time.Second}},
		// Made before the programs, so that it outlives them.
		server: testenv.DurablePostgres(t),
	}
	t.Cleanup(f.client.CloseIdleConnections)
	natsAddr := freeAddr(t)
	_, natsPort, err := net.SplitHostPort(natsAddr)
	require.NoError(t, err)
	f.natsArgs = []string{"nats", "--port", natsPort}
	f.env = []string{
		"SLUICE_DATA_DIR=" + f.folder, "SLUICE_DATABASE_URL=" + f.emptyDatabase(), "SLUICE_NATS_URL=nats://" + natsAddr,
		"SLUICE_HTTP_ADDR=" + f.apiAddr, "SLUICE_REVENUECAT_URL=http://" + f.simAddr + "/v2/", "SLUICE_REVENUECAT_PROJECT_ID=proj_farm",
		"SLUICE_REVENUECAT_SECRET_KEY=sk_farm", "SLUICE_SESSION_SECRET=" + sessionSecret,
		"SLUICE_WEBHOOK_AUTHORIZATION=" + webhookAuthorization, "SLUICE_WEBHOOK_SIGNING_SECRETS=" + webhookSecret,
		"SLUICE_CATALOG=" + writeCatalog(t, demoCatalogText(t)), "SLUICE_HTTP_DRAIN_GRACE=0s", // no load balancer looks
	}
	f.env = append(f.env, settings...)
	code, _, log := runs(t, f.env, "relay")
	require.Equal(t, exitFailed, code)
	require.Contains(t, log, "run sluice migrate")
	for range 2 { // the second finds nothing to do
		code, out, log := runs(t, f.env, "migrate")
		require.Zero(t, code, log)
		require.Equal(t, "schema is current\n", out)
	}
	simulate := launch(t, f.env, "simulate", "--addr", f.simAddr, "--project", "proj_farm",
		"--journal", filepath.Join(f.folder, "simulator.jsonl"))
	simulate.await(&simulate.out, "RevenueCat simulator")
	f.startNATS()
	f.serve = launch(t, f.env, "serve")
	f.awaitReady(http.StatusOK, `"database":"ok"`)
	return f
}

func (f *farm) startNATS() {
	f.t.Helper()
	f.nats = launch(f.t, f.env, f.natsArgs...)
	f.nats.await(&f.nats.out, "nats://127.0.0.1:")
}

// emptyDatabase makes a database without a schema on the test's own server.
func (f *farm) emptyDatabase() string {
	f.t.Helper()
	_, err := f.server.DB().ExecContext(f.t.Context(), "CREATE DATABASE farm")
	require.NoError(f.t, err)
	return f.databaseURL()
}

func (f *farm) databaseURL() string {
	f.t.Helper()
	address, err := url.Parse(f.server.URL())
	require.NoError(f.t, err)
	address.Path = "/farm"
	return address.String()
}

// database opens the database of the roles.
func (f *farm) database() *sqlx.DB {
	f.t.Helper()
	db, err := postgres.Open(f.t.Context(), postgres.Config{URL: f.databaseURL(), MaxConns: 2})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = db.Close() })
	return db
}

// awaitReady waits until /readyz answers code and says so.
func (f *farm) awaitReady(code int, says string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		r, err := f.send(http.MethodGet, "/readyz", "")
		return err == nil && r.code == code && strings.Contains(r.raw, says)
	}, startPatience, tick, "/readyz does not become %d %s", code, says)
}

// requireLag runs `sluice lag`, which prints what could be read in any case.
func (f *farm) requireLag(code int, says string, args ...string) {
	f.t.Helper()
	got, out, log := runs(f.t, f.env, append([]string{"lag"}, args...)...)
	require.Equal(f.t, code, got, log)
	require.Regexp(f.t, `(?m)^adjust +live +`, out, log)
	require.Contains(f.t, log, says)
}

// requireMetrics waits until /metrics at an address has a metric, and wants
// /livez beside it.
func requireMetrics(t testing.TB, client *http.Client, addr, metric string) {
	t.Helper()
	read := func(path string) string {
		answer, err := client.Get("http://" + addr + path)
		if err != nil {
			return ""
		}
		defer answer.Body.Close()
		raw, _ := io.ReadAll(answer.Body) // what is cut short lacks the metric
		return string(raw)
	}
	require.Eventually(t, func() bool { return strings.Contains(read("/metrics"), metric) }, startPatience, tick, "%s lacks %s", addr, metric)
	require.Contains(t, read("/livez"), "alive")
}

// TestSeparateProcesses: the roles meet only in PostgreSQL, JetStream and at the
// provider, and a request that waits in `serve` hears at once what `work` did.
// Without the broker spends are still accepted; without PostgreSQL they are 503.
func TestSeparateProcesses(t *testing.T) {
	t.Parallel()
	f := newFarm(t)
	f.give("player", economy.Amounts{"GEM": 1000})
	waiting := f.spend(t, "player", "extra_life", "before the workers", "Prefer", "wait=0")
	require.Equal(t, http.StatusAccepted, waiting.code, waiting)
	f.requireLag(exitAbove, "adjust/live: 1 is unfinished, more than 0", "--max-pending", "0")
	workAddr, relayAddr := freeAddr(t), freeAddr(t)
	work := launch(t, append(slices.Clone(f.env), "SLUICE_METRICS_ADDR="+workAddr), "work")
	relay := launch(t, append(slices.Clone(f.env), "SLUICE_METRICS_ADDR="+relayAddr), "relay")
	f.spendAt(t, "player", "/spends/"+waiting.Spend.ID, "fulfilled")

	// By the notice: the database is read again only at half of the time.
	told := f.spend(t, "player", "extra_life", "noticed", "Prefer", "wait=30")
	require.Equal(t, http.StatusOK, told.code, told)
	require.Less(t, told.took, 14*time.Second)
	require.Equal(t, http.StatusInternalServerError, f.spend(t, "player", "cursed_relic", "refunded", "Prefer", "wait=30").code)

	f.requireLag(0, "", "--max-pending", "100", "--max-age", "1h")
	for addr, metric := range map[string]string{workAddr: "sluice_provider_calls_total", relayAddr: "sluice_outbox_"} {
		requireMetrics(t, f.client, addr, metric)
	}

	f.nats.kill()
	f.awaitReady(http.StatusOK, `"broker":"reconnecting"`)
	silent := f.spend(t, "player", "extra_life", "without a broker", "Prefer", "wait=0")
	require.Equal(t, http.StatusAccepted, silent.code, silent)
	f.requireLag(exitFailed, "nats")
	f.requireLag(exitAbove, "nats", "--max-pending", "0")
	f.startNATS()
	f.awaitReady(http.StatusOK, `"broker":"connected"`)
	f.spendAt(t, "player", "/spends/"+silent.Spend.ID, "fulfilled")

	f.server.Stop()
	f.awaitReady(http.StatusServiceUnavailable, `"database":"unavailable"`)
	down := f.spend(t, "player", "extra_life", "without a database", "Prefer", "wait=0")
	requireProblem(t, down, http.StatusServiceUnavailable, "unavailable")
	require.NotEmpty(t, down.header.Get("Retry-After"))
	alive, err := f.send(http.MethodGet, "/livez", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, alive.code)
	f.server.Start()
	f.awaitReady(http.StatusOK, `"database":"ok"`)
	again := f.spend(t, "player", "extra_life", "without a database", "Prefer", "wait=0")
	require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, again.code, again)
	f.spendAt(t, "player", "/spends/"+again.Spend.ID, "fulfilled")
	require.Equal(t, economy.Amounts{"GEM": 800}, f.balance("player"))
	require.Equal(t, map[string]int64{"extra_life": 4}, f.inventory(t, "player"))

	for _, p := range []*program{f.serve, work, relay, f.nats} {
		p.signal(syscall.SIGTERM)
		require.Zero(t, p.exitCode(), "%s\n%s", p, p.log.tail())
	}
}
