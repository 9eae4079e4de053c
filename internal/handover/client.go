package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-gems/sluice/internal/tracing"
)

const (
	idleMax   = 45 * time.Second // below the usual 60 s of load balancers: we close first, so no request meets a dying connection
	headerMax = 64 << 10         // bytes of an answer's headers
)

// client posts signed requests to one address.
type client struct {
	url     string
	keys    []key
	timeout time.Duration
	http    *http.Client
	now     func() time.Time
}

// newHTTPClient returns given, or a client with a transport of its own, that
// follows no redirect: what answers there is not who was asked.
func newHTTPClient(given *http.Client, timeout time.Duration, slots int) *http.Client {
	out := http.Client{}
	if given != nil {
		out = *given
	} else {
		dialer := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
		out.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    timeout,
			IdleConnTimeout:        idleMax,
			MaxIdleConns:           slots,
			MaxIdleConnsPerHost:    slots,
			MaxResponseHeaderBytes: headerMax,
			ForceAttemptHTTP2:      true,
		}
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	out.Timeout = 0 // the context of each request bounds it
	out.Jar = nil
	return &out
}

// send posts a request, signed now.
func (c *client) send(ctx context.Context, r request) reply {
	body, header := r.body(), http.Header{}
	ctx, span := c.startTrace(ctx, r, header)
	sign(header, c.keys, r.id(), c.now(), body)
	got := c.post(ctx, header, body)
	tracing.EndCall(span, got.status)
	return got
}

// post posts a body under headers and reads the answer.
func (c *client) post(ctx context.Context, header http.Header, body []byte) reply {
	callCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(callCtx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return reply{detail: "the request cannot be built"}
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	res, err := c.http.Do(req)
	if err != nil {
		return c.noAnswer(ctx, err)
	}
	defer res.Body.Close()
	got := reply{status: res.StatusCode, after: retryAfter(res.Header, c.now())}
	got.body, err = io.ReadAll(io.LimitReader(res.Body, answerMax+1))
	switch {
	case err != nil:
		got.detail = "its body broke off"
	case len(got.body) > answerMax:
		got.detail = fmt.Sprintf("its body is longer than %d bytes", answerMax)
	}
	return got
}

// noAnswer puts a failed request into words.
func (c *client) noAnswer(ctx context.Context, err error) reply {
	switch {
	case ctx.Err() != nil:
		return reply{detail: "no answer: the caller gave up", gaveUp: true}
	case errors.Is(err, context.DeadlineExceeded):
		return reply{detail: fmt.Sprintf("no answer within %s", c.timeout)}
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok { // it repeats the whole address
		err = wrapped.Err
	}
	return reply{detail: "no answer: " + err.Error()}
}
