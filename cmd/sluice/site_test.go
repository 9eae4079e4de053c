package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/devstack"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/producers/spendapi"
)

// sessionSecret signs the sessions of the tests.
const sessionSecret = "a session secret that only the tests know"

// site is a `sluice dev` with its data folder and its simulator, which may be
// killed and started again.
type site struct {
	*program // nil until up
	t        testing.TB
	folder   string
	env      []string
	apiAddr  string
	simAddr  string
	client   *http.Client
}

// newSite makes the folder of a `sluice dev` and chooses its addresses; up starts
// it. settings are NAME=value.
func newSite(t testing.TB, settings ...string) *site {
	t.Helper()
	s := &site{
		t: t, folder: newFolder(t), apiAddr: freeAddr(t), simAddr: freeAddr(t),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 45 * time.Second},
	}
	t.Cleanup(s.client.CloseIdleConnections)
	s.env = append([]string{
		"SLUICE_DATA_DIR=" + s.folder, "SLUICE_HTTP_ADDR=" + s.apiAddr, "SLUICE_SESSION_SECRET=" + sessionSecret,
	}, settings...)
	return s
}

// newFolder makes a data folder with a short path, for PostgreSQL's socket, which
// the server's account may pass through when we are root.
func newFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "sluice-e2e-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(folder, 0o711))
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return os.RemoveAll(folder) == nil }, stopPatience, tick, folder)
	})
	return folder
}

// seed gives the folder an empty PostgreSQL cluster, copied from one that is kept
// between runs: making one takes seconds. What a first start of `sluice dev` does
// is left to the tests that do not seed, and to long ones: the copy's log has segments
// of 1 MB, and a commit waits for each new one.
func (s *site) seed() *site {
	s.t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil || os.Getenv("E2E_LONG") != "" {
		return s // sluice dev makes its own, only slower
	}
	server, err := devstack.StartPostgres(s.t.Context(), devstack.PostgresConfig{
		DataDir: filepath.Join(s.folder, "postgres"), Template: filepath.Join(cache, "sluice"), Durable: true,
	})
	require.NoError(s.t, err)
	require.NoError(s.t, server.Stop(s.t.Context()))
	return s
}

// up starts `sluice dev` and returns when it and its simulator serve.
func (s *site) up() *site {
	s.t.Helper()
	s.program = launch(s.t, s.env, "dev", "--simulator-addr", s.simAddr)
	s.await(&s.out, "Sluice is ready.")
	require.Eventually(s.t, func() bool {
		answer, err := s.client.Get("http://" + s.simAddr + "/control/stats")
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil
	}, startPatience, tick, "the simulator does not serve")
	return s
}

// database opens the private database of the running `sluice dev`.
func (s *site) database() *sqlx.DB {
	s.t.Helper()
	state, err := readDevState(s.folder)
	require.NoError(s.t, err)
	db, err := postgres.Open(s.t.Context(), postgres.Config{URL: state.DatabaseURL, MaxConns: 2})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = db.Close() }) // its server may have been killed
	return db
}

// control calls the simulator's control side and decodes what it shows.
func (s *site) control(method, path, body string, into any) {
	s.t.Helper()
	controlSimulator(s.t, s.client, method, "http://"+s.simAddr+"/control"+path, body, into)
}

func controlSimulator(t testing.TB, client *http.Client, method, address, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s %s %s", method, address, body)
	if into != nil {
		require.NoError(t, json.NewDecoder(answer.Body).Decode(into))
	}
}

// faults replaces the simulator's faults; {} ends them.
func (s *site) faults(json string) { s.t.Helper(); s.control(http.MethodPut, "/faults", json, nil) }

// give sets a player's balances at the provider.
func (s *site) give(player string, balances economy.Amounts) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"balances": balances})
	require.NoError(s.t, err)
	s.control(http.MethodPost, "/customers/"+player, string(body), nil)
}

// balance is what the provider says a player holds.
func (s *site) balance(player string) economy.Amounts {
	s.t.Helper()
	var customer struct{ Balances economy.Amounts }
	s.control(http.MethodGet, "/customers/"+player, "", &customer)
	return customer.Balances
}

// session is a valid token of a player.
func session(t testing.TB, player string) string {
	t.Helper()
	token, err := spendapi.SignSession([]byte(sessionSecret), player, time.Hour, time.Now(), "", "")
	require.NoError(t, err)
	return token
}

// writeCatalog writes a catalogue in YAML and returns its path.
func writeCatalog(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// demoCatalogText is the catalogue that `sluice dev` ships with.
func demoCatalogText(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../config/examples/catalog.yaml")
	require.NoError(t, err)
	return string(text)
}

// demoCatalogWith is that catalogue with more items, which begin with a line's end.
func demoCatalogWith(t testing.TB, items string) string {
	t.Helper()
	const section = "\nitems:"
	text := demoCatalogText(t)
	require.Equal(t, 1, strings.Count(text, section+"\n"))
	return strings.Replace(text, section, section+items, 1)
}

// ports gives every address of this test binary once.
var ports struct {
	sync.Mutex
	next int
}

// freeAddr returns an address that nobody listens on. Its port is none of those
// that systems give to outgoing connections, so that it is still free when a
// program that was killed starts again.
func freeAddr(t testing.TB) string {
	t.Helper()
	const first, last = 20_000, 31_999
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = first + rand.IntN(last-first) // tests of another working copy may run at the same time
	}
	for range last - first {
		if ports.next++; ports.next > last {
			ports.next = first
		}
		addr := fmt.Sprintf("127.0.0.1:%d", ports.next)
		if socket, err := net.Listen("tcp", addr); err == nil {
			require.NoError(t, socket.Close())
			return addr
		}
	}
	require.FailNow(t, "no free port")
	return ""
}
