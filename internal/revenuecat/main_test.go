package revenuecat

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey    = "sk_test_4f8a1c"
	testPlayer = "$RCAnonymousID:8f3a/77"
)

// received is one request as the provider saw it.
type received struct {
	method, uri, key, authorization, contentType, body string
}

// provider is a scripted RevenueCat: the first request gets the first step, and
// so on; the last step repeats.
type provider struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []received
	steps []http.HandlerFunc
}

func newProvider(t *testing.T, steps ...http.HandlerFunc) *provider {
	t.Helper()
	p := unstartedProvider(steps...)
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func unstartedProvider(steps ...http.HandlerFunc) *provider {
	p := &provider{steps: steps}
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	step := p.steps[min(len(p.seen), len(p.steps)-1)]
	p.seen = append(p.seen, received{
		r.Method, r.RequestURI, r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"),
		r.Header.Get("Content-Type"), string(body),
	})
	p.mu.Unlock()
	step(w, r)
}

func (p *provider) requests() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]received(nil), p.seen...)
}

// says answers with a status, a body and headers given as name, value.
func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cuts drops the connection without an answer.
func cuts(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func newClient(t *testing.T, url string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: url + "/v2/", ProjectID: "proj_1", SecretKey: func() string { return testKey }}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// clock is a time that moves only when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
