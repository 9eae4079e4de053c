package simulator_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

func TestTransactionValidatesLikeTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{SecretKey: "sk_right"})
	w.set(t, "p1", economy.Amounts{"GEM": 100, "GOLD": 5})
	const spend = `{"adjustments":{"GEM":-1}}`
	right := []string{"Authorization", "Bearer sk_right"}
	tests := []struct {
		name, path, body string
		header           []string
		want             string
	}{
		{"no key", adjust, spend, []string{"Authorization", ""}, "401 authentication_error"},
		{"not a Bearer", adjust, spend, []string{"Authorization", "sk_right"}, "401 authentication_error"},
		{"empty Bearer", adjust, spend, []string{"Authorization", "Bearer "}, "401 authentication_error"},
		{"wrong key", adjust, spend, []string{"Authorization", "Bearer sk_wrong"}, "401 authentication_error"},
		{"another project", strings.Replace(adjust, "proj_sim", "proj_other", 1), spend, right, "404 resource_missing"},
		{"unknown customer", strings.Replace(adjust, "p1", "p2", 1), spend, right, "404 resource_missing"},
		{"unknown path", customer + "/nothing", spend, right, "404 resource_missing"},
		{"no content type", adjust, spend, append([]string{"Content-Type", ""}, right...), "400 invalid_request"},
		{"another content type", adjust, spend, append([]string{"Content-Type", "text/plain"}, right...), "400 invalid_request"},
		{"not JSON", adjust, `{"adjustments":`, right, "400 invalid_request"},
		{"two values", adjust, spend + spend, right, "400 invalid_request"},
		{"no object", adjust, `[1]`, right, "400 invalid_request"},
		{"null", adjust, `null`, right, "400 invalid_request"},
		{"unknown member", adjust, `{"adjustments":{"GEM":-1},"metadata":{}}`, right, "400 parameter_error metadata"},
		{"no adjustments", adjust, `{}`, right, "400 parameter_error adjustments"},
		{"empty adjustments", adjust, `{"adjustments":{}}`, right, "400 parameter_error adjustments"},
		{"adjustments are no object", adjust, `{"adjustments":[1]}`, right, "400 parameter_error adjustments"},
		{"zero", adjust, `{"adjustments":{"GEM":0}}`, right, "400 parameter_error adjustments"},
		{"fraction", adjust, `{"adjustments":{"GEM":1.5}}`, right, "400 parameter_error adjustments"},
		{"text", adjust, `{"adjustments":{"GEM":"1"}}`, right, "400 parameter_error adjustments"},
		{"beyond 64 bits", adjust, `{"adjustments":{"GEM":9223372036854775808}}`, right, "400 parameter_error adjustments"},
		{"unknown currency", adjust, `{"adjustments":{"RUBY":1}}`, right, "400 parameter_error adjustments"},
		{"reference is a number", adjust, `{"adjustments":{"GEM":-1},"reference":7}`, right, "400 parameter_error reference"},
		{"not enough", adjust, `{"adjustments":{"GEM":-101}}`, right, "422 unprocessable_entity_error adjustments"},
		{"not enough of one of two", adjust, `{"adjustments":{"GEM":-1,"GOLD":-6}}`, right, "422 unprocessable_entity_error adjustments"},
		{"above the largest balance", adjust, `{"adjustments":{"GEM":1999999901}}`, right, "422 unprocessable_entity_error adjustments"},
		{"would overflow", adjust, `{"adjustments":{"GEM":9223372036854775807}}`, right, "422 unprocessable_entity_error adjustments"},
		{"would underflow", adjust, `{"adjustments":{"GEM":-9223372036854775808}}`, right, "422 unprocessable_entity_error adjustments"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := w.call(t, http.MethodPost, test.path, test.body, test.header...)
			equal(t, "answer", got.problem(), test.want)
			equal(t, "object", got.body["object"], "error")
			if url, _ := got.body["doc_url"].(string); !strings.HasPrefix(url, "https://errors.rev.cat/") || strings.Contains(url, "_") {
				t.Errorf("doc_url %q", url)
			}
		})
	}
	equal(t, "balance", w.Balance("p1"), economy.Amounts{"GEM": 100, "GOLD": 5})
	equal(t, "refused", w.Stats().Refused, 5)
}

func TestTransactionAnswersToTheLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.set(t, "p1", economy.Amounts{"GEM": 100, "GOLD": 5})
	short := w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-101}}`)
	equal(t, "not enough", short.text, `{"object":"error","type":"unprocessable_entity_error","param":"adjustments","message":"Customer's balance is not enough to perform the transaction.","retryable":false,"doc_url":"https://errors.rev.cat/unprocessable-entity-error"}`)
	spent := w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-20},"reference":null}`)
	equal(t, "applied", spent.text, `{"object":"list","items":[{"object":"virtual_currency_balance","currency_code":"GEM","balance":80,"name":"Gems","description":null}],"next_page":null,"url":"`+balances+`"}`)
	rest := `{"adjustments":{"GEM":-80,"GOLD":1}}`
	equal(t, "without empty balances", len(w.call(t, http.MethodPost, adjust, rest).body["items"].([]any)), 1)
	w.set(t, "p1", economy.Amounts{"GEM": 80})
	equal(t, "with empty balances", len(w.call(t, http.MethodPost, adjust+"?include_empty_balances=true", rest).body["items"].([]any)), 2)
}

func TestAKeyMovesTheBalanceOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.set(t, "p1", economy.Amounts{"GEM": 100})
	w.set(t, "p2", economy.Amounts{"GEM": 100})
	spend := func(path, key, body string) response {
		return w.call(t, http.MethodPost, path, body, "Idempotency-Key", key)
	}
	gems := func(r response) any { return r.body["items"].([]any)[0].(map[string]any)["balance"] }

	equal(t, "first", gems(spend(adjust, "k1", `{"adjustments":{"GEM":-30}}`)), 70)
	w.set(t, "p1", economy.Amounts{"GEM": 55})
	equal(t, "replay tells the balance of now", gems(spend(adjust, "k1", `{"adjustments":{"GEM":-30}}`)), 55)
	equal(t, "other bytes", spend(adjust, "k1", `{"adjustments": {"GEM":-30}}`).problem(), "409 idempotency_error")
	equal(t, "other customer", spend(strings.Replace(adjust, "p1", "p2", 1), "k1", `{"adjustments":{"GEM":-30}}`).problem(), "409 idempotency_error")
	equal(t, "refused", spend(adjust, "k2", `{"adjustments":{"GEM":-60}}`).status, 422)
	w.set(t, "p1", economy.Amounts{"GEM": 60})
	equal(t, "a refused key is not used up", spend(adjust, "k2", `{"adjustments":{"GEM":-60},"reference":"r"}`).status, 200)
	equal(t, "balances", []any{w.Balance("p1"), w.Balance("p2")}, []any{economy.Amounts{"GEM": 0}, economy.Amounts{"GEM": 100}})
}

func TestTransactionsListsWhatWasAppliedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{Now: func() time.Time { return noon }})
	w.set(t, "p1", economy.Amounts{"GEM": 100})
	for range 3 {
		w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-30},"reference":"r"}`, "Idempotency-Key", "k1")
	}
	w.SetFaults(simulator.Faults{ReplayConflict: 1})
	got := w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-30},"reference":"r"}`, "Idempotency-Key", "k1")
	equal(t, "replay by switch", got.problem(), "409 idempotency_error")
	for range 2 { // without a key every call counts
		w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-1}}`)
	}
	want := []simulator.Transaction{
		{IdempotencyKey: "k1", Adjustments: economy.Amounts{"GEM": -30}, Reference: "r", At: noon},
		{Adjustments: economy.Amounts{"GEM": -1}, At: noon}, {Adjustments: economy.Amounts{"GEM": -1}, At: noon},
	}
	equal(t, "transactions", w.Transactions("p1"), want)
	stats := w.Stats()
	equal(t, "applied, replayed", []int{stats.Applied, stats.Replayed}, []int{3, 2})
}

// The first write is held in its delay; only when the second one was answered
// does its client go away. The provider finishes what it accepted.
func TestAnAcceptedWriteFinishesAndLocksItsCustomerMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.set(t, "p1", economy.Amounts{"GEM": 100})
	w.set(t, "p2", economy.Amounts{"GEM": 100})
	w.SetFaults(simulator.Faults{Delay: 5 * time.Minute})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, w.url+adjust, strings.NewReader(`{"adjustments":{"GEM":-30}}`))
		req.Header.Set("Authorization", "Bearer k")
		req.Header.Set("Content-Type", "application/json")
		_, err := w.http.Do(req)
		gone <- err
	}()
	waitUntil(t, func() bool { return w.Busy("p1") })
	w.SetFaults(simulator.Faults{})
	second := w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-1}}`)
	equal(t, "second write", second.problem(), "423 resource_locked_error")
	equal(t, "backoff", second.body["backoff_ms"], 100)
	equal(t, "retryable", second.body["retryable"], true)
	equal(t, "another customer", w.call(t, http.MethodPost, strings.Replace(adjust, "p1", "p2", 1), `{"adjustments":{"GEM":-1}}`).status, 200)
	equal(t, "a read", w.call(t, http.MethodGet, balances, "").status, 200)
	leave()
	if err := <-gone; err == nil {
		t.Error("the client left and still had an answer")
	}
	waitUntil(t, func() bool { return !w.Busy("p1") })
	equal(t, "balance", w.Balance("p1"), economy.Amounts{"GEM": 70})
}

// waitUntil asks again until it is so; the test's own deadline is the limit.
func waitUntil(t *testing.T, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it never came to be")
		}
	}
}
