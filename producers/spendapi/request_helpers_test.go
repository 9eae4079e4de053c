package spendapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/testenv/contract"
)

// request is what a test sends; zero fields take what a good request has.
type request struct {
	method, path string
	body         string
	player       string // "-": no session
	header       http.Header
	ctx          context.Context
}

func post(body string, header ...string) request {
	r := request{method: http.MethodPost, path: "/spend", body: body, header: http.Header{"Content-Type": {"application/json"}}}
	return r.with(header...)
}

func get(path string) request {
	return request{method: http.MethodGet, path: path, header: http.Header{}}
}

func (r request) with(header ...string) request {
	r.header = r.header.Clone()
	for i := 0; i < len(header); i += 2 {
		r.header.Add(header[i], header[i+1])
	}
	return r
}

func (r request) as(player string) request {
	r.player = player
	return r
}

func (r request) within(ctx context.Context) request {
	r.ctx = ctx
	return r
}

// asServer carries a game server's key instead of a session.
func (r request) asServer(key string) request {
	return r.as("-").with("Authorization", "Bearer "+key)
}

func batch(body string) request {
	r := post(body).asServer(serverKey)
	r.path = "/spends/batch"
	return r
}

func grant(body string, header ...string) request {
	r := post(body, header...).asServer(serverKey)
	r.path = "/grants"
	return r
}

func buy(item string, quantity int, key string) string {
	body, _ := json.Marshal(map[string]any{"item": item, "quantity": quantity, "idempotencyKey": key})
	return string(body)
}

func token(t testing.TB, player string) string {
	t.Helper()
	signed, err := SignSession([]byte(secret), player, time.Hour, start, "", "")
	require.NoError(t, err)
	return signed
}

// do sends a request, holds the answer against the description of the API and
// returns it.
func (b *testBundle) do(t testing.TB, r request) *httptest.ResponseRecorder {
	t.Helper()
	if r.ctx == nil {
		r.ctx = context.WithoutCancel(t.Context())
	}
	sent := httptest.NewRequestWithContext(r.ctx, r.method, r.path, strings.NewReader(r.body))
	sent.Header = r.header.Clone()
	switch r.player {
	case "-":
	case "":
		sent.Header.Set("Authorization", "Bearer "+token(t, player))
	default:
		sent.Header.Set("Authorization", "Bearer "+token(t, r.player))
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, sent)
	if r.ctx.Err() == nil { // else nobody was there to be answered
		contract.Check(t, contract.Exchange{Request: sent, Sent: r.body, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()})
	}
	return w
}

// begin sends a request in the background.
func (b *testBundle) begin(t testing.TB, r request) <-chan *httptest.ResponseRecorder {
	t.Helper()
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() { answer <- b.do(t, r) }() //nolint:testifylint // a failed requirement leaves the channel silent, which fails the test that reads it
	return answer
}

// accept has a spend accepted without waiting for it.
func (b *testBundle) accept(t testing.TB, r request) economy.Spend {
	t.Helper()
	w := b.do(t, r.with("Prefer", "respond-async"))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	return <-b.committed
}

// requireProblem checks a problem answer and returns it.
func requireProblem(t testing.TB, w *httptest.ResponseRecorder, kind *ProblemType) map[string]any {
	t.Helper()
	require.Equal(t, kind.Status, w.Code, w.Body)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var p map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, kind.Type(), p["type"], w.Body)
	require.EqualValues(t, kind.Status, p["status"])
	for _, member := range []string{"title", "detail", "error"} {
		require.NotEmpty(t, p[member], member)
	}
	return p
}

// golden compares a body with a file of testdata, byte for byte.
func golden(t testing.TB, name string, body []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	if *update {
		require.NoError(t, os.WriteFile(path, append(body, '\n'), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test ./producers/spendapi -update writes it")
	require.Equal(t, strings.TrimSuffix(string(want), "\n"), string(body))
}
