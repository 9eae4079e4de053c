package contract

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder is a test that remembers what it is told.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, _ ...any) { r.said = append(r.said, format) }

// TestAnExchangeThatIsNotDescribedFails: one exchange passes, and each of these
// changes to it fails.
func TestAnExchangeThatIsNotDescribedFails(t *testing.T) {
	t.Parallel()
	const spend = `{"spend":{"id":"019b7c9f-0b20-7a31-9d5e-0c4b8f2a6e13","state":"requested","item":"a","quantity":1,"cost":{"GEM":50},"accepted_at":"2026-01-02T03:04:05Z"}}`
	const paused = `{"type":"https://sluice.dev/problems/item-paused","title":"The item is paused","status":403,"detail":"d","error":"Not available right now"}`
	problem := func(x *Exchange, status int, body string) {
		x.Status, x.Body, x.Header = status, []byte(body), http.Header{"Content-Type": {"application/problem+json"}}
	}
	for name, change := range map[string]func(*Exchange){
		"":                           func(*Exchange) {},
		" of a described problem":    func(x *Exchange) { problem(x, 403, paused) },
		" of an unknown address":     func(x *Exchange) { x.Request.URL.Path = "/nothing" },
		" of another status":         func(x *Exchange) { x.Status = http.StatusCreated },
		" without a required header": func(x *Exchange) { x.Header.Del("Location") },
		" with a wrong header":       func(x *Exchange) { x.Header.Set("Retry-After", "soon") },
		" with a new header":         func(x *Exchange) { x.Header.Set("X-New", "1") },
		" of another media type":     func(x *Exchange) { x.Header.Set("Content-Type", "text/plain") },
		" with a new member":         func(x *Exchange) { x.Body = []byte(strings.Replace(spend, `"item"`, `"new":1,"item"`, 1)) },
		" without a member":          func(x *Exchange) { x.Body = []byte(strings.Replace(spend, `"quantity":1,`, ``, 1)) },
		" with a time that is none":  func(x *Exchange) { x.Body = []byte(strings.Replace(spend, "2026-01-02T", "", 1)) },
		" without a body":            func(x *Exchange) { x.Body = nil },
		" of a new problem":          func(x *Exchange) { problem(x, 403, strings.Replace(paused, "item-paused", "item-gone", 1)) },
		" of another call's problem": func(x *Exchange) { problem(x, 402, paused) },
		" of a problem's new title":  func(x *Exchange) { problem(x, 403, strings.Replace(paused, "is paused", "rests", 1)) },
		" to a request not allowed":  func(x *Exchange) { x.Sent = `{"item":""}` },
		" to no request at all":      func(x *Exchange) { x.Sent = "" },
		" to a header not allowed":   func(x *Exchange) { x.Request.Header.Set("Idempotency-Key", "") },
	} {
		x := Exchange{
			Request: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/spend", nil), Sent: `{"item":"a","unknown":1}`, Status: http.StatusAccepted, Body: []byte(spend),
			Header: http.Header{"Content-Type": {"application/json"}, "Location": {"/spends/019b7c9f-0b20-7a31-9d5e-0c4b8f2a6e13"}, "Retry-After": {"1"}},
		}
		change(&x)
		r := &recorder{TB: t}
		Check(r, x)
		require.Equal(t, name == "" || name == " of a described problem", len(r.said) == 0, "an exchange%s: %v", name, r.said)
	}
}

func TestWhatWasPromisedAndNotSeenIsNamed(t *testing.T) {
	t.Parallel()
	missing := unseen([]string{"POST /grants", "Nothing"})
	require.Contains(t, missing, "POST /grants: 502 grant-refused")
	require.Contains(t, missing, `POST /grants: 202, example "requested"`)
	require.Contains(t, missing, "Nothing: no call and no tag")
	require.Empty(t, unseen(nil))
	const words = "problem internal: the example of its member detail"
	require.Contains(t, unseen([]string{"Spending"}), words)
	require.NotContains(t, unseen([]string{"For RevenueCat"}), words, "a webhook's are others")
	require.True(t, alike(map[string]any{"id": "019b7c9f-0b20-7a31-9d5e-0c4b8f2a6e13", "at": "2026-01-02T03:04:05Z"},
		map[string]any{"id": "00000000-0000-0000-0000-000000000000", "at": "2027-01-02T03:04:05.6Z"}))
	require.False(t, alike(map[string]any{"cost": 50}, map[string]any{"cost": 51}))
}
