package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// balancer is a load balancer as one would have in front of `serve`: it keeps
// connections, looks at /readyz, sends to those that are ready in turn, and repeats
// no request. When none is ready it tries those that only do not answer its looks.
type balancer struct {
	addr     string
	backends []*backend
	turn     atomic.Uint64

	mu     sync.Mutex
	failed []string
}

type backend struct {
	addr  string
	state atomic.Int32
	proxy *httputil.ReverseProxy
}

// How a backend was when it was looked at.
const (
	backendReady  = iota
	backendSilent // looksMax looks in a row had no answer: it is slow, or the machine is
	backendOff    // it says 503, or refuses connections
)

const (
	lookEvery    = 100 * time.Millisecond
	lookPatience = 3 * lookEvery
	looksMax     = 3
)

// newBalancer starts one for backends that are ready.
func newBalancer(t testing.TB, addrs ...string) *balancer {
	t.Helper()
	b := &balancer{}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	for _, addr := range addrs {
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
		proxy.Transport = transport
		proxy.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
			b.note(fmt.Sprintf("%s: %s %s: %v", addr, r.Method, r.URL.Path, err))
			w.WriteHeader(http.StatusBadGateway)
		}
		b.backends = append(b.backends, &backend{addr: addr, proxy: proxy})
	}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.addr = server.Listener.Addr().String()
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	for _, one := range b.backends {
		go one.watch(done)
	}
	return b
}

// watch looks at /readyz until done.
func (b *backend) watch(done <-chan struct{}) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: lookPatience}
	inVain := 0
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		answer, err := client.Get("http://" + b.addr + "/readyz")
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			b.state.Store(backendOff)
		case err != nil:
			if inVain++; inVain >= looksMax {
				b.state.CompareAndSwap(backendReady, backendSilent)
			}
		default:
			inVain = 0
			_ = answer.Body.Close()
			state := int32(backendOff)
			if answer.StatusCode == http.StatusOK {
				state = backendReady
			}
			b.state.Store(state)
		}
	}
}

// ServeHTTP implements http.Handler.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first := b.turn.Add(1)
	for _, state := range []int32{backendReady, backendSilent} {
		for i := range uint64(len(b.backends)) {
			one := b.backends[(first+i)%uint64(len(b.backends))]
			if one.state.Load() == state {
				one.proxy.ServeHTTP(w, r)
				return
			}
		}
	}
	b.note("nobody is ready")
	w.WriteHeader(http.StatusBadGateway)
}

// allReady reports whether every backend was ready when it was looked at.
func (b *balancer) allReady() bool {
	for _, one := range b.backends {
		if one.state.Load() != backendReady {
			return false
		}
	}
	return true
}

func (b *balancer) note(failure string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = append(b.failed, failure)
}

// failures are the requests that came to nothing.
func (b *balancer) failures() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.failed)
}
