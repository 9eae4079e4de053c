package spendapi

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

func TestOneLinePerRequestAndNoSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const canaryPlayer, canaryKey = "canary-player", "canary-key"
	signed := token(t, canaryPlayer)
	spend := b.accept(t, post(buy("extra_life", 1, canaryKey)).as(canaryPlayer))
	b.do(t, post(buy("extra_life", 1, canaryKey), "Idempotency-Key", `"`+canaryKey+`"`).as(canaryPlayer))
	b.do(t, post(buy("bundle", 1, canaryKey)).as(canaryPlayer))
	b.do(t, post(buy("canary-item", 1, canaryKey)).as(canaryPlayer))
	b.do(t, post(`{"canary-body`).as(canaryPlayer))
	b.do(t, post("", "Authorization", "Bearer canary-token").as("-"))
	b.do(t, get("/spends/"+spend.ID+"?canary-query").as(canaryPlayer))
	b.do(t, get("/canary-path"))
	b.do(t, request{method: "CANARY", path: "/wallet", header: http.Header{"X-Request-Id": {"canary id"}}})
	b.do(t, get("/wallet").as(canaryPlayer))
	b.do(t, get("/inventory").with("X-Request-Id", "my-request.1"))
	b.do(t, get("/inventory").as(canaryPlayer))

	log := b.log.String()
	for _, secretText := range []string{"canary", "CANARY", secret, signed, strings.Split(signed, ".")[1], player, "Bearer"} {
		require.NotContains(t, log, secretText)
	}
	lines := b.log.lines(t)
	require.Len(t, lines, 12)
	for i, want := range []struct {
		route, outcome string
		status         int
	}{
		{"POST /spend", "working", 202}, {"POST /spend", "working", 202}, {"POST /spend", "idempotency-key-reused", 409},
		{"POST /spend", "idempotency-key-reused", 409}, {"POST /spend", "malformed-request", 400}, {"POST /spend", "unauthenticated", 401},
		{"GET /spends/{id}", "read", 200}, {"/", "not-found", 404}, {"/wallet", "method-not-allowed", 405},
		{"GET /wallet", "read", 200}, {"GET /inventory", "read", 200}, {"GET /inventory", "read", 200},
	} {
		require.Equal(t, want.route, lines[i]["route"])
		require.Equal(t, want.outcome, lines[i]["outcome"])
		require.EqualValues(t, want.status, lines[i]["status"])
		require.Contains(t, lines[i], "duration_ms")
		require.Contains(t, lines[i], "bytes")
		require.NotEmpty(t, lines[i]["request_id"])
	}
	require.Equal(t, spend.ID, lines[0]["spend_id"])
	require.Equal(t, "other", lines[8]["method"])
	require.Equal(t, "my-request.1", lines[10]["request_id"])
}

func TestARequestIDIsEchoedOrMade(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, nil, func(c *Config) { c.Books = noBooks{} })
	for sent, echoed := range map[string]bool{
		"abc-1_2.3:4": true, strings.Repeat("x", requestIDMax): true, "": false, strings.Repeat("x", requestIDMax+1): false, "a b": false, "a\"b": false, "é": false,
	} {
		got := b.do(t, get("/nothing").with("X-Request-Id", sent)).Header().Get("X-Request-Id")
		require.NotEmpty(t, got)
		require.Equal(t, echoed, got == sent, sent)
	}
}

// A spend tells by which request it was accepted, under the id that the log and the
// client have of it. A repeat, under another id, changes nothing.
func TestASpendTellsTheRequestThatAcceptedIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	accepted := func(id string) string {
		story, err := books.New(b.db).Story(t.Context(), id)
		require.NoError(t, err)
		return story.RequestID
	}
	spend := b.accept(t, post(buy("extra_life", 1, "k1"), "X-Request-Id", "tap-1"))
	b.do(t, post(buy("extra_life", 1, "k1"), "Prefer", "respond-async", "X-Request-Id", "again"))
	require.Equal(t, "tap-1", accepted(spend.ID))
	require.Contains(t, b.log.String(), `"request_id":"tap-1"`)
	made := b.do(t, post(buy("extra_life", 1, "k2"), "Prefer", "respond-async")).Header().Get("X-Request-Id")
	require.Equal(t, made, accepted((<-b.committed).ID))
	b.do(t, batchOf(of(player, "extra_life", 1, "k3"), of(player, "extra_life", 1, "k4")).with("X-Request-Id", "batch-1"))
	require.Equal(t, []string{"batch-1", "batch-1"}, []string{accepted((<-b.committed).ID), accepted((<-b.committed).ID)})
	given := b.accept(t, grant(`{"app_user_id":"`+player+`","adjustments":{"GEM":1},"reason":"quest","idempotency_key":"g"}`, "X-Request-Id", "grant-1"))
	require.Equal(t, "grant-1", accepted(given.ID))
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, nil, func(c *Config) {
		c.Books = noBooks{}
		c.Catalog = func() economy.Catalog { panic("the catalogue is on fire") }
	})
	w := b.do(t, post(buy("extra_life", 1, "k")))
	requireProblem(t, w, Internal)
	require.Contains(t, b.log.String(), "the catalogue is on fire")
	require.Contains(t, b.log.String(), "spend.go")
	require.Equal(t, "panic", b.log.lines(t)[0]["outcome"])

	// Begun answers and http.ErrAbortHandler cut the connection, as net/http does.
	for name, h := range map[string]http.HandlerFunc{
		"begun":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x"); panic("y") },
		"aborted": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			b.Wrap(h).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		}, name)
	}
	require.Len(t, b.log.lines(t), 3)
}

func TestOtherEndpointsAreCoveredByWrap(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, nil, func(c *Config) { c.Books = noBooks{} })
	mux := http.NewServeMux()
	b.Routes(mux)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "ok")
	})
	w := httptest.NewRecorder()
	b.Wrap(mux).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/livez", nil))
	require.Equal(t, "ok", w.Body.String())
	require.Equal(t, "GET /livez", b.log.lines(t)[0]["route"])
	require.EqualValues(t, 2, b.log.lines(t)[0]["bytes"])
}

func TestMetricsCountRequestsAndSpends(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	b := setup(t, func(c *Config) { c.Metrics = registry })
	b.accept(t, post(buy("extra_life", 1, "k")))
	b.do(t, post(buy("paused", 1, "k2")))
	b.do(t, get("/spends/x"))
	families, err := registry.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	require.Equal(t, map[string]float64{
		"sluice_http_requests_total GET /spends/{id} 404": 1, "sluice_http_requests_total POST /spend 202": 1, "sluice_http_requests_total POST /spend 403": 1,
		"sluice_http_request_duration_seconds GET /spends/{id}": 1, "sluice_http_request_duration_seconds POST /spend": 2,
		"sluice_spends_total item-paused": 1, "sluice_spends_total working": 1, "sluice_spend_waiters": 0,
	}, got)
}

func TestNewNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Config{PlayerRate: -1})
	for _, name := range []string{"Committer", "Books", "Provider", "Sessions", "Catalog", "PlayerRate"} {
		require.ErrorContains(t, err, name)
	}
}

// Over a real connection: the body limit, a body that never ends, header size.
func TestTheServerLimitsEveryPhase(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, nil, func(c *Config) { c.Books = noBooks{} })
	server := NewServer("127.0.0.1:0", b.handler, slog.New(slog.DiscardHandler))
	for _, limit := range []time.Duration{server.ReadHeaderTimeout, server.ReadTimeout, server.WriteTimeout, server.IdleTimeout} {
		require.Positive(t, limit)
	}
	require.Greater(t, server.WriteTimeout, readTimeout+acceptPatience+waitMax+readPatience)
	listener, err := net.Listen("tcp", server.Addr)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	url := "http://" + listener.Addr().String()

	// No Content-Length, so that the limit is found while reading.
	body := io.MultiReader(strings.NewReader(`{"item":"`), strings.NewReader(strings.Repeat("x", 2*bodyMax)))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/spend", body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token(t, player))
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
	require.True(t, answer.Close, "the rest of the body is not read")
	require.NoError(t, answer.Body.Close())

	r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/wallet", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", 2*headerBytesMax))
	answer, err = http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, answer.StatusCode)
	require.NoError(t, answer.Body.Close())

	require.NoError(t, server.Close())
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
