package revenuecat

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	list80       = `{"object":"list","items":[{"object":"virtual_currency_balance","currency_code":"GEM","balance":80,"name":"Gems"}],"next_page":null,"url":"x"}`
	insufficient = `{"object":"error","type":"unprocessable_entity_error","param":"adjustments","message":"Customer's balance is not enough to perform the transaction.","retryable":false,"doc_url":"https://errors.rev.cat/unprocessable-entity-error"}`
)

var (
	debit  = economy.Amounts{"GEM": -50}
	credit = economy.Amounts{"GEM": 50}
	gem80  = economy.Amounts{"GEM": 80}
)

func errorBody(kind string, more ...string) string {
	return `{"object":"error","type":"` + kind + `","message":"no","retryable":false` + strings.Join(more, "") + `}`
}

func request(deltas economy.Amounts) Request {
	return Request{AppUserID: testPlayer, IdempotencyKey: "spend-1:charge", Body: Body(deltas, "spend-1"), CreateCustomer: true}
}

func TestAdjustClassifiesEveryAnswer(t *testing.T) {
	t.Parallel()
	const ms700 = 700 * time.Millisecond
	tests := []struct {
		name   string
		answer http.HandlerFunc
		deltas economy.Amounts
		want   economy.Outcome // Detail is not compared
	}{
		{"applied", says(200, list80), debit, economy.Outcome{Kind: economy.Applied, Balances: gem80}},
		{"applied, balance left out", says(200, `{"items":[]}`), debit, economy.Outcome{Kind: economy.Applied, Balances: economy.Amounts{"GEM": 0}}},
		{"applied, balance on a later page", says(200, `{"items":[],"next_page":"/x?starting_after=A"}`), debit, economy.Outcome{Kind: economy.Applied, Balances: economy.Amounts{}}},
		{"applied, other currencies too", says(200, strings.Replace(list80, `"items":[`, `"items":[{"currency_code":"GOLD","balance":3},`, 1)), debit, economy.Outcome{Kind: economy.Applied, Balances: gem80}},
		{"applied, whole float", says(200, strings.Replace(list80, "80", "80.0", 1)), debit, economy.Outcome{Kind: economy.Applied, Balances: gem80}},
		{"applied, not JSON", says(200, `<html>`), debit, economy.Outcome{Kind: economy.Applied}},
		{"applied, empty", says(200, ``), debit, economy.Outcome{Kind: economy.Applied}},
		{"applied, no items", says(200, `{"object":"list"}`), debit, economy.Outcome{Kind: economy.Applied}},
		{"applied, fraction", says(200, strings.Replace(list80, "80", "80.5", 1)), debit, economy.Outcome{Kind: economy.Applied}},
		{"applied, absurd number", says(200, strings.Replace(list80, "80", "1e999999", 1)), debit, economy.Outcome{Kind: economy.Applied}},
		{"applied, broken off", says(200, list80, "Content-Length", "5000"), debit, economy.Outcome{Kind: economy.Applied}},
		{"applied, endless", says(200, strings.Repeat(" ", bodyMax+1)+list80), debit, economy.Outcome{Kind: economy.Applied}},

		{"not enough", says(422, insufficient), debit, economy.Outcome{Kind: economy.Insufficient, Code: typeUnprocessable}},
		{"not enough, mixed signs", says(422, insufficient), economy.Amounts{"GEM": -5, "GOLD": 1}, economy.Outcome{Kind: economy.Insufficient, Code: typeUnprocessable}},
		{"not enough, by the message only", says(422, `{"message":"Balance is not enough"}`), debit, economy.Outcome{Kind: economy.Insufficient, Code: typeUnprocessable}},
		{"not enough, members of odd types", says(422, `{"type":7,"param":null,"message":"insufficient funds","backoff_ms":"soon"}`), debit, economy.Outcome{Kind: economy.Insufficient, Code: typeUnprocessable}},
		{"422 on a credit", says(422, insufficient), credit, economy.Outcome{Kind: economy.Refused, Code: typeUnprocessable}},
		{"422 for another member", says(422, errorBody("parameter_error", `,"param":"reference"`)), debit, economy.Outcome{Kind: economy.Refused, Code: "parameter_error"}},
		{"422 not JSON", says(422, `nope`), debit, economy.Outcome{Kind: economy.Refused, Code: typeUnprocessable}},
		{"422 of the store", says(422, errorBody("store_error", `,"backoff_ms":700`)), debit, economy.Outcome{Kind: economy.Temporary, Code: "store_error", RetryAfter: ms700}},
		{"422 broken off", says(422, insufficient[:20], "Content-Length", "5000"), debit, economy.Outcome{Kind: economy.Temporary, Code: typeUnprocessable}},
		{"400", says(400, errorBody("parameter_error")), debit, economy.Outcome{Kind: economy.Refused, Code: "parameter_error"}},
		{"400 empty", says(400, ``), debit, economy.Outcome{Kind: economy.Refused, Code: "invalid_request"}},

		{"401", says(401, errorBody("authentication_error")), debit, economy.Outcome{Kind: economy.Temporary, Code: "authentication_error"}},
		{"401 without a type", says(401, `{}`), debit, economy.Outcome{Kind: economy.Temporary, Code: "authentication_error"}},
		{"403", says(403, `[]`), debit, economy.Outcome{Kind: economy.Temporary, Code: "authorization_error"}},
		{"423", says(423, errorBody("resource_locked_error", `,"backoff_ms":700`)), debit, economy.Outcome{Kind: economy.Temporary, Code: "resource_locked_error", RetryAfter: ms700}},
		{"429, both waits", says(429, errorBody(typeRateLimit, `,"backoff_ms":700`), "Retry-After", "9"), debit, economy.Outcome{Kind: economy.Temporary, Code: typeRateLimit, RetryAfter: ms700}},
		{"429, header only", says(429, ``, "Retry-After", "9"), debit, economy.Outcome{Kind: economy.Temporary, Code: typeRateLimit, RetryAfter: 9 * time.Second}},
		{"429, absurd wait", says(429, ``, "Retry-After", "90000000000000000000000"), debit, economy.Outcome{Kind: economy.Temporary, Code: typeRateLimit, RetryAfter: waitMax}},
		{"429, no wait", says(429, ``, "Retry-After", "-3"), debit, economy.Outcome{Kind: economy.Temporary, Code: typeRateLimit}},

		{"409 idempotency", says(409, errorBody(typeIdempotency)), debit, economy.Outcome{Kind: economy.Unknown, Code: typeIdempotency}},
		{"409 other", says(409, errorBody(typeExists)), debit, economy.Outcome{Kind: economy.Unknown, Code: typeExists}},
		{"408", says(408, ``), debit, economy.Outcome{Kind: economy.Unknown}},
		{"500", says(500, errorBody("server_error", `,"backoff_ms":700`)), debit, economy.Outcome{Kind: economy.Unknown, Code: "server_error", RetryAfter: ms700}},
		{"502 of a gateway", says(502, `<html>bad gateway</html>`), debit, economy.Outcome{Kind: economy.Unknown, Code: "server_error"}},
		{"503, header", says(503, ``, "Retry-After", "2"), debit, economy.Outcome{Kind: economy.Unknown, Code: "server_error", RetryAfter: 2 * time.Second}},
		{"504", says(504, ``), debit, economy.Outcome{Kind: economy.Unknown, Code: "server_error"}},
		{"a 2xx nobody documents", says(202, list80), debit, economy.Outcome{Kind: economy.Unknown}},
		{"a redirect", says(307, ``, "Location", "/elsewhere"), debit, economy.Outcome{Kind: economy.Unknown}},
		{"418", says(418, ``), debit, economy.Outcome{Kind: economy.Unknown}},
	}
	statuses := map[int]bool{}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, func(w http.ResponseWriter, r *http.Request) { test.answer(w, r) })
			calls := []Call{}
			c := newClient(t, p.URL, func(cfg *Config) { cfg.Observe = func(call Call) { calls = append(calls, call) } })
			got := c.Adjust(t.Context(), request(test.deltas))
			if got.Status == 0 {
				t.Fatalf("no answer: %s", got.Detail)
			}
			statuses[got.Status] = true
			want := test.want
			want.Status, want.Detail = got.Status, got.Detail
			if !reflect.DeepEqual(got, want) {
				t.Errorf("outcome\n got %+v\nwant %+v", got, want)
			}
			if n := len(p.requests()); n != 1 {
				t.Errorf("the provider saw %d requests, want 1", n)
			}
			if len(calls) != 1 || calls[0].Outcome != got.Kind || calls[0].Status != got.Status || calls[0].Op != OpAdjust {
				t.Errorf("observed %+v", calls)
			}
		})
	}
	if len(statuses) < 15 {
		t.Errorf("only %d statuses were told apart", len(statuses))
	}
}

func TestAdjustSendsTheStoredBytes(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(200, list80))
	c := newClient(t, p.URL)
	body := []byte("{ \"adjustments\": {\"GEM\":-50} }\n")
	c.Adjust(t.Context(), Request{AppUserID: testPlayer, IdempotencyKey: "k 1", Body: body})
	want := []received{{
		"POST", "/v2/projects/proj_1/customers/%24RCAnonymousID%3A8f3a%2F77/virtual_currencies/transactions?include_empty_balances=true",
		"k 1", "Bearer " + testKey, "application/json", string(body),
	}}
	if got := p.requests(); !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestAdjustIsUnknownWhenTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(protocol, func(t *testing.T) {
			// The first answer makes the connection a reused one: net/http repeats
			// requests only there, and must not.
			p := unstartedProvider(says(200, list80), cuts)
			p.EnableHTTP2 = protocol == "HTTP/2"
			p.StartTLS()
			t.Cleanup(p.Close)
			roots := x509.NewCertPool()
			roots.AddCert(p.Certificate())
			c := newClient(t, p.URL, func(cfg *Config) {
				cfg.HTTP = newHTTPClient(nil, TimeoutDefault)
				cfg.HTTP.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
			})
			if got := c.Adjust(t.Context(), request(debit)); got.Kind != economy.Applied {
				t.Fatalf("first: %+v", got)
			}
			got := c.Adjust(t.Context(), request(debit))
			if got.Kind != economy.Unknown || got.Status != 0 {
				t.Errorf("got %+v, want unknown without a status", got)
			}
			if n := len(p.requests()); n != 2 {
				t.Errorf("the provider saw %d requests, want 2: one per Adjust", n)
			}
		})
	}
}

func TestAdjustIsUnknownWhenTheAnswerIsSlow(t *testing.T) {
	t.Parallel()
	p := newProvider(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := newClient(t, p.URL, func(cfg *Config) { cfg.Timeout = 50 * time.Millisecond })
	got := c.Adjust(t.Context(), request(debit))
	if got.Kind != economy.Unknown || got.Detail != "no answer within 50ms" {
		t.Errorf("got %+v", got)
	}
}

func TestAdjustIsUnknownWhenTheCallerGivesUpHalfway(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := newProvider(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	got := newClient(t, p.URL).Adjust(ctx, request(debit))
	if got.Kind != economy.Unknown || got.Detail != "no answer: the caller gave up" {
		t.Errorf("got %+v", got)
	}
}

func TestAdjustIsTemporaryWhenNothingWasSent(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(200, list80))
	refusing := newProvider(t, says(200, list80))
	refusing.Close()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	failingDial := func(cfg *Config) {
		cfg.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}
		}}}
	}
	hangingDial := func(cfg *Config) {
		cfg.Timeout = 50 * time.Millisecond
		cfg.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}}
	}
	noKey := func(cfg *Config) { cfg.SecretKey = func() string { return " \n" } }
	tests := []struct {
		name   string
		ctx    context.Context
		client *Client
		detail string
	}{
		{"connection refused", t.Context(), newClient(t, refusing.URL), "connection refused"},
		{"no such host", t.Context(), newClient(t, p.URL, failingDial), "no such host"},
		{"dial hangs", t.Context(), newClient(t, p.URL, hangingDial), "no answer within 50ms"},
		{"caller's time is over", over, newClient(t, p.URL), "not sent"},
		{"no key", t.Context(), newClient(t, p.URL, noKey), "secret key is empty"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := test.client.Adjust(test.ctx, request(debit))
			if got.Kind != economy.Temporary || got.Status != 0 || !strings.Contains(got.Detail, test.detail) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if n := len(p.requests()); n != 0 {
		t.Errorf("the provider saw %d requests", n)
	}
}

// A RoundTripper of somebody else may send without saying so.
func TestAdjustIsUnknownWhenTheTransportSaysNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1", func(cfg *Config) {
		cfg.HTTP = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("lost") })}
	})
	if got := c.Adjust(t.Context(), request(debit)); got.Kind != economy.Unknown {
		t.Errorf("got %+v", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAdjustRefusesWhatItCannotSend(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1")
	for _, r := range []Request{
		{AppUserID: "", IdempotencyKey: "k", Body: []byte("{}")},
		{AppUserID: "..", IdempotencyKey: "k", Body: []byte("{}")},
		{AppUserID: strings.Repeat("p", 1501), IdempotencyKey: "k", Body: []byte("{}")},
		{AppUserID: "p", IdempotencyKey: "", Body: []byte("{}")},
		{AppUserID: "p", IdempotencyKey: "k"},
	} {
		if got := c.Adjust(t.Context(), r); got.Kind != economy.Refused {
			t.Errorf("%+v: got %+v", r, got)
		}
	}
}

func TestAdjustAsksForTheKeyBeforeEveryCall(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(401, errorBody("authentication_error")), says(200, list80))
	key := "sk_old"
	c := newClient(t, p.URL, func(cfg *Config) { cfg.SecretKey = func() string { return key } })
	if got := c.Adjust(t.Context(), request(debit)); got.Kind != economy.Temporary {
		t.Fatalf("old key: %+v", got)
	}
	key = "sk_new\n" // files end in a newline
	if got := c.Adjust(t.Context(), request(debit)); got.Kind != economy.Applied {
		t.Fatalf("new key: %+v", got)
	}
	if got := p.requests(); got[0].authorization != "Bearer sk_old" || got[1].authorization != "Bearer sk_new" {
		t.Errorf("keys: %q, %q", got[0].authorization, got[1].authorization)
	}
}

func TestBodyIsTheSameForTheSameChanges(t *testing.T) {
	t.Parallel()
	deltas := economy.Amounts{"GOLD": 3, "GEM": -50, "ZERO": 0, "A": 1}
	want := `{"adjustments":{"A":1,"GEM":-50,"GOLD":3},"reference":"spend \"7\""}`
	for range 50 {
		if got := string(Body(deltas, `spend "7"`)); got != want {
			t.Fatalf("got %s", got)
		}
	}
	if got := string(Body(economy.Amounts{"GEM": 1}, "")); got != `{"adjustments":{"GEM":1}}` {
		t.Errorf("without a reference: %s", got)
	}
}
