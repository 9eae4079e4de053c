package revenuecat

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Every way an answer can carry the player's id or our key must end here.
func TestNoSecretAndNoPlayerIDComesOut(t *testing.T) {
	t.Parallel()
	const player = "Player_77~x"
	echo := func(status int) http.HandlerFunc {
		body := fmt.Sprintf(`{"type":%q,"message":"customer %s with %s","param":%q,"backoff_ms":1}`, player, player, testKey, url.QueryEscape(player))
		return says(status, body, "X-Request-Id", player)
	}
	steps := map[string]http.HandlerFunc{
		"cut": cuts,
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = conn.Write([]byte("HTTP/1.1 " + player + " " + testKey + "\r\n\r\n"))
			_ = conn.Close()
		},
		"redirect":     says(302, ``, "Location", "http://"+player+"/"+testKey),
		"bad redirect": says(302, ``, "Location", "http://[%zz"+player),
	}
	for _, status := range []int{400, 401, 403, 404, 409, 418, 422, 423, 429, 500, 503} {
		steps[fmt.Sprint(status)] = echo(status)
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, step)
			var logged bytes.Buffer
			var seen []string
			c := newClient(t, p.URL, func(cfg *Config) {
				cfg.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				cfg.Observe = func(call Call) { seen = append(seen, fmt.Sprintf("%+v", call)) }
			})
			outcome := c.Adjust(t.Context(), Request{AppUserID: player, IdempotencyKey: "k", Body: Body(debit, "")})
			_, err := c.Balances(t.Context(), player)
			unreachable := newClient(t, "http://127.0.0.1:1").Adjust(t.Context(), Request{AppUserID: player, IdempotencyKey: "k", Body: Body(debit, "")})
			all := fmt.Sprintf("%+v %+v %v %+v %s %s", outcome, err, err, unreachable, strings.Join(seen, " "), logged.String())
			for _, secret := range []string{player, strings.ToLower(player), testKey, escapeSegment(player)} {
				if strings.Contains(all, secret) {
					t.Errorf("%q came out in: %s", secret, all)
				}
			}
		})
	}
}

func TestRedactorKeepsHarmlessTextShort(t *testing.T) {
	t.Parallel()
	r := newRedactor(testKey, `quo"te`, "")
	tests := []struct{ in, want string }{
		{"two\n lines\t here", "two lines here"},
		{"bad \xff byte", "bad byte"},
		{strings.Repeat("é", textMax+5), strings.Repeat("é", textMax) + "..."},
		{"the " + strings.ToUpper(testKey), withheld},
		{`a quo\"te`, withheld},
		{"sk_test\x00_4f8a1c", "sk_test _4f8a1c"},
		{"", ""},
	}
	for _, test := range tests {
		if got := r.text(test.in); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestNewNamesEveryMistakeAndNoPassword(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "ftp://x", "http://", "http://me:hunter2@x", "http://x?a=b", "http://x#f", "http://[", "::hunter2"} {
		_, err := New(Config{BaseURL: base, Timeout: -1})
		if err == nil {
			t.Errorf("%q was accepted", base)
			continue
		}
		for _, want := range []string{"base URL", "project id", "secret key", "negative"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v does not name the %s", base, err, want)
			}
		}
		if strings.Contains(err.Error(), "hunter2@") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestCallsReuseTheirConnection(t *testing.T) {
	t.Parallel()
	addresses := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true
		says(422, insufficient)(w, r)
	}))
	t.Cleanup(server.Close)
	c := newClient(t, server.URL)
	for range 20 {
		c.Adjust(t.Context(), request(debit))
	}
	if len(addresses) != 1 {
		t.Errorf("20 calls used %d connections", len(addresses))
	}
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T %v is no *Error", err, err)
	}
	return e
}
