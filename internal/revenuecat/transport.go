package revenuecat

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	idlePerHost = 128              // more workers than this never wait for RevenueCat at 8 writes a second
	idleMax     = 45 * time.Second // below the usual 60 s of load balancers: we close first, so no call meets a dying connection
	headerMax   = 64 << 10         // bytes of response headers
)

// newHTTPClient returns given, or a client with our own transport, that follows
// no redirect: a 307 would carry the key and a debit to another address.
func newHTTPClient(given *http.Client, timeout time.Duration) *http.Client {
	out := http.Client{}
	if given != nil {
		out = *given
	} else {
		dialer := &net.Dialer{Timeout: timeout / 2, KeepAlive: 30 * time.Second}
		out.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    timeout / 2, // with the dial: a dead address is told apart from a slow answer
			ResponseHeaderTimeout:  timeout,
			IdleConnTimeout:        idleMax,
			MaxIdleConns:           2 * idlePerHost,
			MaxIdleConnsPerHost:    idlePerHost,
			MaxResponseHeaderBytes: headerMax,
			ForceAttemptHTTP2:      true,
		}
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	out.Timeout = 0 // the context of each call bounds it
	out.Jar = nil
	return &out
}

// sentTrace learns whether a request can have reached the provider. It holds
// "not sent" only on evidence: the transport looked for a connection and never
// had one. A RoundTripper that reports nothing may have sent.
type sentTrace struct{ wanted, got atomic.Bool }

func (t *sentTrace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.wanted.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	})
}

func (t *sentTrace) maybeSent() bool { return t.got.Load() || !t.wanted.Load() }

// escapeSegment escapes all but letters, digits and -_.~ for use as one path
// segment. url.PathEscape would leave the $ and : of anonymous ids as they are,
// and RevenueCat asks for them to be encoded.
func escapeSegment(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
