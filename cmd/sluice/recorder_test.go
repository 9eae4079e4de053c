package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// recorder stands between Sluice and its provider, and notes when the calls that
// change balances come in. One of them it answers itself, with a 429.
type recorder struct {
	URL    string
	target atomic.Pointer[httputil.ReverseProxy]
	refuse int           // which call, counted from 1; 0: none
	pause  time.Duration // its Retry-After, whole seconds

	mu      sync.Mutex
	calls   []time.Time
	refused time.Time // when the 429 left
}

// newRecorder starts one that refuses a call; aim tells it where the provider is.
func newRecorder(t testing.TB, refuse int, pause time.Duration) *recorder {
	t.Helper()
	r := &recorder{refuse: refuse, pause: pause}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *recorder) aim(addr string) {
	r.target.Store(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.Out.URL.Scheme, p.Out.URL.Host = "http", addr
	}})
}

// ServeHTTP implements http.Handler.
func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if strings.HasSuffix(request.URL.Path, "/transactions") && r.note(w) {
		return
	}
	r.target.Load().ServeHTTP(w, request)
}

// note records a call and reports whether it answered it.
func (r *recorder) note(w http.ResponseWriter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, time.Now())
	if len(r.calls) != r.refuse {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", fmt.Sprint(int(r.pause.Seconds())))
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = fmt.Fprintf(w, `{"object":"error","type":"rate_limit_error","message":"Slow down.","retryable":true,"backoff_ms":%d}`, r.pause.Milliseconds())
	r.refused = time.Now()
	return true
}
