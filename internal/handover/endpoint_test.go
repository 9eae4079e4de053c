package handover

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/samplegame"
)

// play starts a sample game and returns it with an endpoint that asks it.
func play(t *testing.T, change func(*Config)) (*samplegame.Game, *Endpoint) {
	t.Helper()
	game, err := samplegame.New(samplegame.Config{Secrets: []string{whsec("a")}, Items: []string{"sword"}})
	require.NoError(t, err)
	server := httptest.NewServer(game)
	t.Cleanup(server.Close)
	cfg := Config{Name: "game", URL: server.URL + samplegame.Path, Secrets: []string{whsec("a")}}
	if change != nil {
		change(&cfg)
	}
	endpoint, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(endpoint.Close)
	return game, endpoint
}

func TestGrantCheckRevoke(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	game, e := play(t, func(c *Config) { c.Metrics = NewMetrics(registry) })
	ctx := t.Context()
	require.Equal(t, None, e.Check(ctx, sword).Kind)
	require.Equal(t, Granted, e.Grant(ctx, sword).Kind)
	require.Equal(t, Granted, e.Grant(ctx, sword).Kind)
	require.Equal(t, Granted, e.Check(ctx, sword).Kind)
	require.Equal(t, map[string]int64{"sword": 2}, game.Holds("player_7"), "once")
	require.Equal(t, Revoked, e.Revoke(ctx, sword, nil).Kind)
	require.Equal(t, Revoked, e.Revoke(ctx, sword, nil).Kind)
	require.Equal(t, Revoked, e.Grant(ctx, sword).Kind)
	require.Equal(t, Revoked, e.Check(ctx, sword).Kind)
	require.Empty(t, game.Holds("player_7"))

	kept := sword
	kept.ID = "kept"
	require.Equal(t, Granted, e.Grant(ctx, kept).Kind)
	game.SetFaults(samplegame.Faults{Keep: true})
	require.Equal(t, Outcome{Kind: Granted, Reason: "it is used", Status: 200}, e.Revoke(ctx, kept, nil))

	other := sword
	other.ID, other.Item = "other", "shield"
	require.Equal(t, Outcome{Kind: Refused, Reason: "no such item", Status: 200}, e.Grant(ctx, other))

	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	for _, series := range []string{
		`sluice_handover_calls_total{endpoint="game",operation="check",outcome="none"} 1`,
		`sluice_handover_calls_total{endpoint="game",operation="grant",outcome="granted"} 3`,
		`sluice_handover_calls_total{endpoint="game",operation="grant",outcome="refused"} 1`,
		`sluice_handover_calls_total{endpoint="game",operation="revoke",outcome="granted"} 1`,
		`sluice_handover_calls_total{endpoint="game",operation="revoke",outcome="revoked"} 2`,
		`sluice_handover_call_duration_seconds_count{endpoint="game",operation="check"} 3`,
		`sluice_handover_in_hand_requests{endpoint="game"} 0`,
	} {
		require.Contains(t, scrape.Body.String(), series+"\n")
	}
}

func TestNoAnswerIsNoAnswer(t *testing.T) {
	t.Parallel()
	game, e := play(t, func(c *Config) { c.Timeout = 100 * time.Millisecond })
	for _, c := range []struct {
		faults samplegame.Faults
		detail string
	}{
		{samplegame.Faults{Down: true}, "no answer: EOF"},
		{samplegame.Faults{LoseAnswer: 1}, "no answer: EOF"},
		{samplegame.Faults{FailBefore: 1}, "answered 503, which is not 200"},
		{samplegame.Faults{OtherSpend: true}, "answered about another spend_id, or none"},
		{samplegame.Faults{Delay: samplegame.Duration(time.Second / 2)}, "no answer within 100ms"},
	} {
		game.SetFaults(c.faults)
		got := e.Grant(t.Context(), sword)
		require.Equal(t, Failed, got.Kind)
		require.Equal(t, c.detail, got.Detail)
	}
	game.SetFaults(samplegame.Faults{})
	require.Equal(t, Granted, e.Check(t.Context(), sword).Kind, "the one whose answer was lost")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, Later, e.Grant(ctx, sword).Kind, "who gives up learns nothing about the endpoint")
}

func TestAYesIsBelievedAfterACheckWhereThatIsAsked(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	game, e := play(t, func(c *Config) { c.Confirm, c.Log = true, slog.New(slog.NewTextHandler(&log, nil)) })
	ctx := t.Context()
	game.SetFaults(samplegame.Faults{HollowGrant: true, HollowRevoke: true})
	require.Equal(t, "answered a grant with granted, and a check says none", e.Grant(ctx, sword).Detail)
	require.Equal(t, "answered a revoke with revoked, and a check says none", e.Revoke(ctx, sword, nil).Detail)
	require.Contains(t, log.String(), "does not do what it says")
	require.NotContains(t, log.String(), sword.AppUserID)
	game.SetFaults(samplegame.Faults{})
	require.Equal(t, Granted, e.Grant(ctx, sword).Kind)
	require.Equal(t, Revoked, e.Revoke(ctx, sword, nil).Kind)
	require.Equal(t, Revoked, e.Grant(ctx, sword).Kind)
}

// A new secret is used by both sides before the old one is withdrawn from either.
func TestSecretsRotate(t *testing.T) {
	t.Parallel()
	_, both := play(t, func(c *Config) { c.Secrets = []string{whsec("b"), whsec("a")} })
	require.Equal(t, None, both.Check(t.Context(), sword).Kind)
	_, wrong := play(t, func(c *Config) { c.Secrets = []string{whsec("b")} })
	require.Equal(t, "answered 401, which is not 200", wrong.Check(t.Context(), sword).Detail)
}

func TestTheRequestOfASpendIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header.Get("webhook-id")+" "+body.String())
	}))
	t.Cleanup(server.Close)
	e, err := New(Config{Name: "game", URL: server.URL, Secrets: []string{whsec("a")}})
	require.NoError(t, err)
	here := sword
	here.ChargedAt = sword.ChargedAt.In(time.FixedZone("CET", 3600))
	for _, s := range []economy.Spend{sword, here} {
		require.Equal(t, Failed, e.Grant(t.Context(), s).Kind)
	}
	want := sword.ID + `:grant {"operation":"grant","spend_id":"` + sword.ID + `","app_user_id":"player_7","item":"sword","quantity":2,` +
		`"catalog_version":3,"charged_at":"2026-01-02T03:04:05.000006Z"}`
	require.Equal(t, []string{want, want}, seen)
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed.Store(true)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	e, err := New(Config{Name: "game", URL: server.URL, Secrets: []string{whsec("a")}})
	require.NoError(t, err)
	require.Equal(t, Failed, e.Grant(t.Context(), sword).Kind)
	require.False(t, followed.Load())
}

func TestEndpointsByName(t *testing.T) {
	t.Parallel()
	_, err := NewEndpoints([]Config{{Name: "a", URL: "ftp://h"}, {Name: "b", URL: "http://h", Secrets: []string{"x"}, Slots: -1}})
	require.ErrorContains(t, err, "endpoint a")
	require.ErrorContains(t, err, "endpoint b")
	list, err := NewEndpoints([]Config{{Name: "a", URL: "http://127.0.0.1:1", Secrets: []string{whsec("a")}, Slots: 3}})
	require.NoError(t, err)
	defer list.Close()
	require.Equal(t, 6, list.Room())
	require.Equal(t, Failed, list.Grant(t.Context(), "a", sword).Kind)
	revoke := func(ctx context.Context, name string, s economy.Spend) Outcome {
		return list.Revoke(ctx, name, s, func() bool { t.Error("nothing is about to be sent"); return false })
	}
	for _, ask := range []func(context.Context, string, economy.Spend) Outcome{list.Grant, list.Check, revoke} {
		got := ask(t.Context(), "b", sword)
		require.Equal(t, Outcome{Kind: Later, After: unknownWait, Park: true, Detail: `not asked: SLUICE_HANDOVER_URL names no endpoint "b"`}, got)
		require.EqualError(t, got.Err("b"), "endpoint b: "+got.Detail)
	}
}

// Who must write down that the game is asked does so when there is room for the request,
// and nothing is sent without it.
func TestARevokeThatIsNotWrittenDownIsNotSent(t *testing.T) {
	t.Parallel()
	game, e := play(t, func(c *Config) { c.Slots = 1 })
	require.Equal(t, Granted, e.Grant(t.Context(), sword).Kind)
	said := e.Revoke(t.Context(), sword, func() bool { return false })
	require.Equal(t, Outcome{Kind: Later, Detail: "not asked: its caller let it be"}, said)
	require.Equal(t, map[string]int64{"sword": 2}, game.Holds("player_7"))
	written := false
	require.Equal(t, Revoked, e.Revoke(t.Context(), sword, func() bool { written = true; return true }).Kind, "its slot is free again")
	require.True(t, written)

	game.SetFaults(samplegame.Faults{Down: true})
	for range runMax {
		require.Equal(t, Failed, e.Check(t.Context(), sword).Kind)
	}
	said = e.Revoke(t.Context(), sword, func() bool { t.Error("an open circuit sends nothing"); return false })
	require.Equal(t, Failed, said.Kind)
	require.True(t, said.Park)
}
