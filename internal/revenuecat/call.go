package revenuecat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/tracing"
)

// bodyMax bounds the bytes read of one answer: 100 currencies with a
// description of 1,500 characters each, the most a project can have, stay far
// below it (RevenueCat docs, In-App Currency limits).
const bodyMax = 1 << 20

// outgoing is one HTTP request to the provider.
type outgoing struct {
	op       Op
	method   string
	path     string // below the project, escaped, with its query
	key      string // idempotency key; "": none
	body     []byte // nil: none
	customer string // whose id must appear in no text
}

// answer is what came of one HTTP call. Every text in it is safe to show.
type answer struct {
	attempted bool          // an HTTP call was made; false: held back before it
	status    int           // 0: there was no answer
	maybeSent bool          // status 0: the request may have reached the provider
	body      []byte        // empty when it broke off
	broken    bool          // the body broke off or is longer than bodyMax
	problem   problem       // what the body says when the status is not 2xx
	started   time.Time     // when the call started, by the client's clock
	wait      time.Duration // how long the provider asked to wait; 0: it did not say
	code      string        // the provider's error type, or the usual one of the status
	detail    string
	requestID string // X-Request-Id, for a ticket with RevenueCat's support
	took      time.Duration
	told      told
	cause     error // status 0: context.Canceled or context.DeadlineExceeded when it was that, else nil
}

// call makes one HTTP call, unless the gate of its domain is closed.
func (c *Client) call(ctx context.Context, out outgoing) answer {
	if err := ctx.Err(); err != nil {
		return answer{detail: "not sent: the caller's time was over", cause: err}
	}
	if wait, code := c.gate.closed(out.op.domain(), c.now()); wait > 0 {
		return answer{wait: wait, code: code, detail: "not sent: the provider asked for a pause"}
	}
	key := strings.TrimSpace(c.secretKey())
	if key == "" {
		return answer{detail: "not sent: the secret key is empty"}
	}
	guard := newRedactor(key, out.customer)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	trace := &sentTrace{}
	req, err := c.request(trace.attach(ctx), out, key)
	if err != nil {
		return answer{detail: "not sent: the request cannot be built"}
	}
	started := c.now()
	span := startTrace(ctx, out.op, req)
	res, err := c.http.Do(req)
	if err != nil {
		a := c.noAnswer(err, guard)
		a.attempted, a.maybeSent, a.started, a.took = true, trace.maybeSent(), started, c.now().Sub(started)
		tracing.EndCall(span, a.status)
		return a
	}
	a := readAnswer(res, guard, c.now())
	a.started, a.took = started, c.now().Sub(started)
	a.told = tell(a, res.Header, c.now())
	tracing.EndCall(span, a.status)
	if until := c.gate.note(out.op.domain(), a, c.now()); !until.IsZero() {
		c.log.WarnContext(ctx, "revenuecat asks for a pause", "domain", string(out.op.domain()), "status", a.status, "until", until)
	}
	return a
}

// request builds the HTTP request. The header Idempotency-Key is stored under
// its lower-case name: net/http repeats a POST by itself, after the connection
// was lost, when it finds the canonical one. Header names have no case on the wire.
func (c *Client) request(ctx context.Context, out outgoing, key string) (*http.Request, error) {
	var body io.Reader
	if out.body != nil {
		body = bytes.NewReader(out.body)
	}
	req, err := http.NewRequestWithContext(ctx, out.method, c.project+out.path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "sluice")
	if out.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if out.key != "" {
		req.Header["idempotency-key"] = []string{out.key}
	}
	return req, nil
}

// noAnswer puts a failed call into words; a *url.Error holds the whole URL,
// and with it the player's id.
func (c *Client) noAnswer(err error, guard redactor) answer {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return answer{detail: "no answer: the caller gave up", cause: context.Canceled}
	case errors.Is(err, context.DeadlineExceeded):
		return answer{detail: fmt.Sprintf("no answer within %s", c.timeout), cause: context.DeadlineExceeded}
	}
	return answer{detail: guard.text("no answer: " + err.Error())}
}

// readAnswer reads and decodes a response. It closes the body.
func readAnswer(res *http.Response, guard redactor, now time.Time) answer {
	defer res.Body.Close()
	a := answer{attempted: true, status: res.StatusCode, maybeSent: true, requestID: guard.text(res.Header.Get("X-Request-Id"))}
	body, err := io.ReadAll(io.LimitReader(res.Body, bodyMax+1))
	if err != nil || len(body) > bodyMax {
		a.broken = true
	} else {
		a.body = body
	}
	if a.status >= 200 && a.status < 300 {
		return a
	}
	a.problem = parseProblem(a.body)
	a.wait = waitAsked(res.Header, a.problem, now)
	a.code = guard.code(a.problem.kind, a.status)
	a.detail = guard.text(a.problem.words(a.broken))
	return a
}
