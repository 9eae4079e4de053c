package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/monitor"
)

func TestEveryListedConsumerIsTheOneOfItsSpec(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, entry := range list {
		consumer := entry.build(&process{books: books.New(nil), catalogs: books.NewCatalogs(nil), provider: &provider{}, registry: prometheus.NewRegistry()}, nil)
		require.Equal(t, entry.spec, consumer.Spec())
		require.False(t, names[entry.spec.Name], "%s is listed twice", entry.spec.Name)
		names[entry.spec.Name] = true
	}
	require.Len(t, durables(specs), len(consumers.Queues(specs)))
}

func TestTablesArePrintedAsJSONToo(t *testing.T) {
	secret := "canary-0123456789-0123456789"
	t.Setenv("SLUICE_SESSION_SECRET", secret)
	t.Setenv("SLUICE_DATABASE_URL", "postgres://u:"+secret+"@h/d")
	var out, log strings.Builder
	require.Zero(t, run([]string{"config", "--json"}, &out, &log), log.String())
	var settings struct {
		Settings []struct{ Variable, Key, Default, Doc string }
	}
	require.NoError(t, json.Unmarshal([]byte(out.String()), &settings), out.String())
	require.Len(t, settings.Settings, len(config.Variables()))
	for i, v := range config.Variables() {
		require.Equal(t, v.Name, settings.Settings[i].Variable)
		require.Equal(t, v.Default, settings.Settings[i].Default)
		require.NotEmpty(t, settings.Settings[i].Doc)
	}
	require.NotContains(t, out.String(), "canary")

	out.Reset()
	require.Zero(t, run([]string{"consumers", "--json"}, &out, &log), log.String())
	var listing struct {
		Consumers []struct {
			Consumer      string
			Lanes, Events []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out.String()), &listing), out.String())
	require.Len(t, listing.Consumers, len(specs))
	require.Equal(t, "adjust", listing.Consumers[0].Consumer)
	require.Equal(t, []string{"spend.requested.v1"}, listing.Consumers[0].Events)
}

// TestAnEmptyProviderURLIsUnset: dev then runs its simulator.
func TestAnEmptyProviderURLIsUnset(t *testing.T) {
	t.Setenv("SLUICE_REVENUECAT_URL", "")
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	s := &devStack{config: cfg, log: slog.New(slog.DiscardHandler)}
	s.state.fillSecrets()
	defer s.stop()
	require.NoError(t, s.startProvider(t.Context(), devCommand{SimulatorAddr: "127.0.0.1:0"}))
	require.NotNil(t, s.sim)
}

// TestLagThatCouldNotBeReadIsNotWithinBounds: nor does it hide what is above them.
func TestLagThatCouldNotBeReadIsNotWithinBounds(t *testing.T) {
	t.Parallel()
	none := int64(0)
	for _, test := range []struct {
		name string
		lag  monitor.Lag
		code int
	}{
		{"within", monitor.Lag{}, 0},
		{"unread", monitor.Lag{Error: "no answer"}, exitFailed},
		{"in the broker", monitor.Lag{Messages: 1}, exitAbove},
		{"owed only", monitor.Lag{Owed: 1}, exitAbove},
		{"unread and owed", monitor.Lag{Owed: 1, Error: "no answer"}, exitAbove},
	} {
		err := lagCommand{MaxPending: &none}.judge(monitor.Snapshot{Consumers: []monitor.Lag{test.lag}})
		assert.Equal(t, test.code, exitCodeOf(err), "%s: %v", test.name, err)
		assert.Equal(t, test.lag.Error != "", err != nil && strings.Contains(err.Error(), "no answer"), test.name)
	}
}

// TestTheProvidersKeyRotatesWithItsFile: calls carry the new key a few seconds
// after the file changed, without a restart.
func TestTheProvidersKeyRotatesWithItsFile(t *testing.T) {
	t.Parallel()
	var last atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last.Store(r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte("sk_old\n"), 0o600))
	cfg, err := config.LoadEnviron([]string{
		"SLUICE_REVENUECAT_URL=" + server.URL, "SLUICE_REVENUECAT_PROJECT_ID=p", "SLUICE_REVENUECAT_SECRET_KEY_FILE=" + path,
	}, os.ReadFile)
	require.NoError(t, err)
	p := &process{config: cfg, log: slog.New(slog.DiscardHandler)}
	provider, err := p.newClient(nil)
	require.NoError(t, err)
	t.Cleanup(provider.Close)
	sent := func() any {
		_, _ = provider.Balances(t.Context(), "player") // the answer does not matter
		return last.Load()
	}
	require.Equal(t, "Bearer sk_old", sent())
	require.NoError(t, os.WriteFile(path, []byte("sk_new\n"), 0o600))
	require.Eventually(t, func() bool { return sent() == "Bearer sk_new" }, startPatience, tick)
}
