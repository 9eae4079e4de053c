package revenuecat

import (
	"net/http"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

func TestNoCallStartsBeforeTheMomentTheProviderNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer http.HandlerFunc
		pause  time.Duration // 0: the domain stays open
	}{
		{"429 with backoff_ms", says(429, errorBody(typeRateLimit, `,"backoff_ms":4000`), "Retry-After", "9"), 4 * time.Second},
		{"429 with Retry-After", says(429, ``, "Retry-After", "9"), 9 * time.Second},
		{"429 without either", says(429, ``), pauseDefault},
		{"503 with Retry-After", says(503, ``, "Retry-After", "9"), 9 * time.Second},
		{"503 with a date", says(503, ``, "Retry-After", "Sun, 01 Mar 2026 12:00:07 GMT"), 7 * time.Second},
		{"503 with backoff_ms only", says(503, errorBody("server_error", `,"backoff_ms":4000`)), 0},
		{"423", says(423, errorBody("resource_locked_error", `,"backoff_ms":4000`)), 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, test.answer, says(200, list80))
			at := newClock()
			observed := 0
			c := newClient(t, p.URL, func(cfg *Config) { cfg.Now = at.Now; cfg.Observe = func(Call) { observed++ } })
			c.Adjust(t.Context(), request(debit))
			if test.pause > 0 {
				at.Advance(test.pause - time.Millisecond)
				held := c.Adjust(t.Context(), request(debit))
				if held.Kind != economy.Temporary || held.RetryAfter != time.Millisecond || held.Status != 0 || held.Code == "" {
					t.Errorf("held back: %+v", held)
				}
				if len(p.requests()) != 1 || observed != 1 {
					t.Errorf("a held-back call reached the network: %d requests, %d observed", len(p.requests()), observed)
				}
				at.Advance(time.Millisecond)
			}
			if got := c.Adjust(t.Context(), request(debit)); got.Kind != economy.Applied {
				t.Errorf("after the pause: %+v", got)
			}
		})
	}
}

func TestOneDomainsPauseDoesNotStopTheOther(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(429, ``, "Retry-After", "9"), says(200, list80))
	c := newClient(t, p.URL, func(cfg *Config) { cfg.Now = newClock().Now })
	c.Adjust(t.Context(), request(debit))
	if _, err := c.Balances(t.Context(), testPlayer); err != nil {
		t.Errorf("balances: %v", err)
	}
	if got := c.Adjust(t.Context(), request(debit)); got.RetryAfter != 9*time.Second {
		t.Errorf("adjust: %+v", got)
	}
}

func TestLimitsKeepsWhatTheProviderTold(t *testing.T) {
	t.Parallel()
	const usage, limit = "RevenueCat-Rate-Limit-Current-Usage", "RevenueCat-Rate-Limit-Current-Limit"
	p := newProvider(t,
		says(200, list80, usage, "17", limit, "480"),
		says(200, list80, usage, "many", limit, "-1"),
		says(429, ``, usage, "480", limit, "480", "Retry-After", "2"))
	at := newClock()
	c := newClient(t, p.URL, func(cfg *Config) { cfg.Now = at.Now })
	first := Limit{PerMinute: 480, Used: 17, SeenAt: at.Now()}
	for range 2 {
		c.Adjust(t.Context(), request(debit))
		if got := c.Limits()[Transactions]; got != first {
			t.Errorf("got %+v, want %+v", got, first)
		}
		at.Advance(time.Second)
	}
	c.Adjust(t.Context(), request(debit))
	if got, want := c.Limits()[Transactions], (Limit{480, 480, at.Now(), at.Now().Add(2 * time.Second)}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, told := c.Limits()[CustomerInformation]; told {
		t.Error("a limit for a domain that never answered")
	}
}

func TestWaitAsked(t *testing.T) {
	t.Parallel()
	now := newClock().Now()
	tests := []struct {
		header, body string
		want         time.Duration
	}{
		{"", "", 0},
		{"3", "", 3 * time.Second},
		{"0.5", "", 500 * time.Millisecond},
		{"NaN", "", 0},
		{"Inf", "", waitMax},
		{"soon", "", 0},
		{"30000", "", waitMax},
		{"Sun, 01 Mar 2026 12:00:20 GMT", "", 20 * time.Second},
		{"Sun, 01 Mar 2026 11:00:00 GMT", "", 0},
		{"3", `{"backoff_ms":250}`, 250 * time.Millisecond},
		{"3", `{"backoff_ms":"250"}`, 250 * time.Millisecond},
		{"3", `{"backoff_ms":null}`, 3 * time.Second},
		{"3", `{"backoff_ms":-1}`, 3 * time.Second},
		{"3", `{"backoff_ms":0}`, 3 * time.Second},
		{"3", `{"backoff_ms":1e300}`, waitMax},
		{"3", `{"backoff_ms":{}}`, 3 * time.Second},
	}
	for _, test := range tests {
		header := http.Header{"Retry-After": {test.header}}
		if got := waitAsked(header, parseProblem([]byte(test.body)), now); got != test.want {
			t.Errorf("Retry-After %q, body %s: got %s, want %s", test.header, test.body, got, test.want)
		}
	}
}
