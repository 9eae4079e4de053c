package rcwebhook

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

func TestEveryDocumentedEventTwiceIsKeptOnceAndOwedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows, owed := 0, 0
	for name, body := range samples(t) {
		e, err := webhooks.Parse(body)
		require.NoError(t, err, name)
		rows++
		if e.Route() != webhooks.RouteNobody {
			owed++
		}
		for try := range 2 {
			r := webhook(body)
			if try == 1 { // the attempt is signed anew
				r.Header.Set(signatureHeader, sign(body, start.Add(-5*time.Minute), oldSecret))
			}
			w := b.do(t, r)
			require.Equal(t, http.StatusOK, w.Code, "%s: %s", name, w.Body)
			require.Empty(t, w.Body.String())
			b.requireKept(t, rows, owed, name)
		}
		var row struct {
			ID, Type, Environment, Verdict string
			Body                           []byte
			EventAt, ReceivedAt            time.Time
			Headers                        []byte
		}
		require.NoError(t, b.db.Get(&row, `SELECT id, type, environment, verdict, body, event_at AS eventat, received_at AS receivedat, headers
			FROM webhook_events WHERE event_key = $1`, e.ID))
		require.Equal(t, body, row.Body, "byte for byte")
		require.Equal(t, []string{string(e.Type), e.Environment, string(purchases.Accepted)}, []string{row.Type, row.Environment, row.Verdict})
		require.True(t, row.ReceivedAt.Equal(start) && row.EventAt.Equal(e.At), name)
		require.Contains(t, string(row.Headers), "v1=")
		require.NotContains(t, string(row.Headers), authorization)
		wantType := map[webhooks.Route]int{webhooks.RouteNobody: 0, webhooks.RoutePurchases: 1, webhooks.RouteCurrency: 1}[e.Route()]
		require.Equal(t, wantType, b.count(t, `SELECT count(*) FROM outbox WHERE lane = 'store' AND payload->>'subject' = $1
			AND event_id = $2 || CASE consumer WHEN 'mirror' THEN '.moved' ELSE '.received' END`, e.AppUserID, row.ID), name)
	}
}

func TestWhatIsAuthenticAndNoEventIsKeptAnd400(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, body := range []string{
		"", "{", "null", `{"event":null}`, "\x00", "{\"event\":{\"id\":\"a\x00\",\"type\":\"TEST\"}}", `{"event":{"id":"a\u0000","type":"TEST"}}`,
		`{"event":{"id":"a","type":"TEST\u0000"}}`, `{"event":{"id":"a","type":"TEST","app_user_id":"\u0000"}}`,
		"{\"event\":{\"id\":\"\xff\",\"type\":\"TEST\"}}", strings.Repeat("[", 500_000), `{"event":{"id":"a","type":"T","x":` + strings.Repeat(`{"a":`, 100_000),
		`{"event":{"id":"a","type":"A","event_timestamp_ms":"` + strings.Repeat("é", 1000) + `"}}`, string(event("e", "RENEWAL", purchase)[:200]),
	} {
		for range 2 {
			w := b.do(t, webhook([]byte(body)))
			require.Equal(t, http.StatusBadRequest, w.Code, "%.60q", body)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			var problem struct{ Type, Detail string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
			require.Equal(t, "https://sluice.dev/problems/webhook-not-an-event", problem.Type)
			require.LessOrEqual(t, len(problem.Detail), 500)
			b.requireKept(t, i+1, 0, "%.60q", body)
		}
		require.Equal(t, 1, b.count(t, "SELECT count(*) FROM webhook_events WHERE body = $1 AND verdict = 'undecodable' AND error <> ''", []byte(body)))
	}
}

// What we do not know is kept, and so is what would change something and says of
// nobody.
func TestUnknownTypesAndMembersAreKeptCountedAndOwedToNobody(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	b := setup(t, func(c *Config) { c.Metrics = registry })
	require.Equal(t, http.StatusOK, b.do(t, webhook(event("1", "SOMETHING_NEW", `,"app_user_id":"ann","more":[{}]`))).Code)
	require.Equal(t, http.StatusOK, b.do(t, webhook(event("2", "ANOTHER", ""))).Code)
	b.requireKept(t, 2, 0)
	require.Equal(t, http.StatusOK, b.do(t, webhook(event("3", "RENEWAL", ""))).Code)
	b.requireKept(t, 3, 0)
	deep := event("4", "RENEWAL", purchase+`,"app_id":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000))
	require.Equal(t, http.StatusOK, b.do(t, webhook(deep)).Code)
	require.Equal(t, http.StatusOK, b.do(t, webhook(deep)).Code)
	b.requireKept(t, 4, 1)
	forged := webhook(deep)
	forged.Header.Set("Authorization", "Bearer else")
	b.do(t, forged)
	require.Equal(t, map[string]float64{
		"sluice_webhooks_total RENEWAL about_nobody": 1, "sluice_webhooks_total RENEWAL accepted": 1, "sluice_webhooks_total RENEWAL duplicate": 1,
		"sluice_webhooks_total none webhook-not-authentic": 1, "sluice_webhooks_total unknown accepted": 2,
		"sluice_webhook_refusals_total authorization": 1, "sluice_webhook_last_age_seconds": 0,
	}, gathered(t, registry))
}

// gathered returns the counters and gauges by name and label values.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				out[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

func TestARefusedEnvironmentIsKeptMarkedAndTouchesNothing(t *testing.T) {
	t.Parallel()
	sandbox := strings.Replace(purchase, "PRODUCTION", "SANDBOX", 1)
	alias := strings.Replace(sandbox, `"ann"`, `"$RCAnonymousID:1","aliases":["bob","tester"]`, 1)
	movement := `,"app_user_id":"ann","purchase_environment":"SANDBOX"`
	for _, test := range []struct {
		name         string
		environments Environments
		kind, more   string
		taken        bool
	}{
		{"both", Environments{Production: true, Sandbox: true}, "RENEWAL", sandbox, true},
		{"both, and one we do not know", Environments{Production: true, Sandbox: true}, "RENEWAL", strings.Replace(purchase, "PRODUCTION", "STAGING", 1), true},
		{"production", Environments{Production: true}, "RENEWAL", purchase, true},
		{"production, from the sandbox", Environments{Production: true}, "RENEWAL", sandbox, false},
		{"production, currency of the sandbox", Environments{Production: true}, "VIRTUAL_CURRENCY_TRANSACTION", movement, false},
		{"production, one we do not know", Environments{Production: true}, "RENEWAL", strings.Replace(purchase, "PRODUCTION", "STAGING", 1), false},
		{"production, a tester by an alias", Environments{Production: true, Testers: []string{"tester"}}, "RENEWAL", alias, true},
		{"production, not the tester", Environments{Production: true, Testers: []string{"tester"}}, "RENEWAL", sandbox, false},
		{"sandbox", Environments{Sandbox: true}, "RENEWAL", sandbox, true},
		{"sandbox, from production", Environments{Sandbox: true}, "RENEWAL", purchase, false},
		{"production, no environment", Environments{Production: true}, "SUBSCRIBER_ALIAS", `,"app_user_id":"ann","aliases":["ann","bob"]`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *Config) { c.Environments = test.environments })
			for range 2 {
				require.Equal(t, http.StatusOK, b.do(t, webhook(event("e", test.kind, test.more))).Code)
			}
			owed, verdict := 1, purchases.Accepted
			if !test.taken {
				owed, verdict = 0, purchases.RefusedEnvironment
			}
			b.requireKept(t, 1, owed)
			require.Equal(t, 1, b.count(t, "SELECT count(*) FROM webhook_events WHERE verdict = $1 AND body IS NOT NULL", string(verdict)))
		})
	}
}

func TestATestEventAnswersAndShowsInTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Environments = Environments{Production: true} })
	require.Equal(t, http.StatusOK, b.do(t, webhook(samples(t)["test.json"])).Code)
	require.Contains(t, b.log.String(), "test webhook arrived")
	b.requireKept(t, 1, 0)
}
