package simulator_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

func TestControlSwitchesFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{RatePerMinute: 480})
	equal(t, "at first", w.Faults(), simulator.Faults{RatePerMinute: 480})
	const all = `{"fail_before":0.1,"lose_answer":0.2,"locked":0.3,"too_many":0.4,"replay_conflict":0.5,"delay":"1s","jitter":"20ms","brown_out":true,"down":true,"unauthorized":true,"rate_per_minute":9}`
	want := simulator.Faults{0.1, 0.2, 0.3, 0.4, 0.5, time.Second, 20 * time.Millisecond, true, true, true, 9}
	equal(t, "put", w.call(t, http.MethodPut, "/control/faults", all).text, all)
	equal(t, "set", w.Faults(), want)
	equal(t, "get", w.call(t, http.MethodGet, "/control/faults", "").text, all)
	w.call(t, http.MethodPatch, "/control/faults", `{"down":false,"delay":"2s"}`)
	want.Down, want.Delay = false, 2*time.Second
	equal(t, "patched", w.Faults(), want)
	for _, bad := range []string{`{"fail_befor":1}`, `{"fail_before":2}`, `{"delay":"soon"}`, `{"delay":"1h"}`, `[]`, ``, `{} {}`} {
		got := w.call(t, http.MethodPatch, "/control/faults", bad)
		if got.status != 400 || got.body["error"] == "" {
			t.Errorf("%s: %+v", bad, got)
		}
	}
	equal(t, "kept", w.Faults(), want)
	w.call(t, http.MethodPut, "/control/faults", `{}`)
	equal(t, "healed", w.Faults(), simulator.Faults{})
}

// TestControlListsItsSwitches: all of them, with their values, and calls to paste.
func TestControlListsItsSwitches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{RatePerMinute: 480})
	w.SetFaults(simulator.Faults{Down: true, LoseAnswer: 0.25, Delay: time.Second, RatePerMinute: 480})
	w.SetWebhookFaults(simulator.WebhookFaults{Lose: 0.125, Jitter: 3 * time.Second})
	var faults map[string]json.RawMessage
	if err := json.Unmarshal([]byte(w.call(t, http.MethodGet, "/control/faults", "").text), &faults); err != nil {
		t.Fatal(err)
	}
	var webhooks struct{ Faults map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(w.call(t, http.MethodGet, "/control/webhooks", "").text), &webhooks); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/control", "/control/"} {
		r, got := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
		r.RemoteAddr = "127.0.0.1:9"
		w.ServeHTTP(got, r)
		equal(t, "status", got.Code, 200)
		text := got.Body.String()
		ofCalls, ofWebhooks, _ := strings.Cut(text, "WEBHOOKS")
		for part, list := range map[string]map[string]json.RawMessage{ofCalls: faults, ofWebhooks: webhooks.Faults} {
			for name, value := range list {
				line := regexp.MustCompile(`(?m)^` + name + ` +` + regexp.QuoteMeta(string(value)) + ` +\S.* {2}\S`)
				if !line.MatchString(part) {
					t.Errorf("no line tells that %s is %s:\n%s", name, value, text)
				}
			}
		}
		if calls := regexp.MustCompile(`(?m)^  curl -s .*http://\S+/control/\w`).FindAllString(text, -1); len(calls) < 12 {
			t.Errorf("calls to paste: %q", calls)
		}
	}
}

func TestControlKnowsTheCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{Now: func() time.Time { return noon }})
	const path = "/control/customers/%24RCAnonymousID%3A1"
	equal(t, "before", w.call(t, http.MethodGet, path, "").status, 404)
	equal(t, "set", w.call(t, http.MethodPost, path, `{"balances":{"GEM":1000,"GOLD":1}}`).text,
		`{"id":"$RCAnonymousID:1","balances":{"GEM":1000,"GOLD":1},"transactions":[]}`)
	w.call(t, http.MethodPost, path, `{"balances":{"GEM":500}}`)
	w.call(t, http.MethodPost, project+"/customers/%24RCAnonymousID%3A1/virtual_currencies/transactions",
		`{"adjustments":{"GEM":-50},"reference":"spend 1"}`, "Idempotency-Key", "k1")
	equal(t, "get", w.call(t, http.MethodGet, path, "").text, `{"id":"$RCAnonymousID:1","balances":{"GEM":450,"GOLD":1},`+
		`"transactions":[{"idempotency_key":"k1","adjustments":{"GEM":-50},"reference":"spend 1","at":"2026-03-01T12:00:10Z"}]}`)
	for _, bad := range []string{`{"balances":{"RUBY":1}}`, `{"balances":{"GEM":-1}}`, `{"balances":{"GEM":2000000001}}`, `{"balance":1}`, `x`} {
		equal(t, bad, w.call(t, http.MethodPost, path, bad).status, 400)
	}
	equal(t, "created empty", w.call(t, http.MethodPost, "/control/customers/p2", ``).text, `{"id":"p2","balances":{},"transactions":[]}`)
	equal(t, "elsewhere", w.call(t, http.MethodGet, "/control/nothing", "").status, 404)
}

func TestControlCountsAndForgets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{})
	w.set(t, "p1", economy.Amounts{"GEM": 10})
	w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-3}}`)
	w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-4,"GOLD":1}}`)
	w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-4}}`)
	w.call(t, http.MethodGet, balances, "")
	w.SetFaults(simulator.Faults{Down: true})    // the control side stays
	_, _ = w.try(t, http.MethodPost, adjust, "") // net/http would try a GET twice
	const counted = `"calls":5,"by_status":{"200":3,"422":1},"by_operation":{"balances":1,"transaction":4},"cut":1,"applied":2,"replayed":0,"refused":1,"customers":1`
	equal(t, "stats", w.call(t, http.MethodGet, "/control/stats", "").text, "{"+counted+"}")
	equal(t, "with sums", w.call(t, http.MethodGet, "/control/stats?customers=1", "").text,
		"{"+counted+`,"sums":{"p1":{"balances":{"GEM":3,"GOLD":1},"adjusted":{"GEM":-7,"GOLD":1},"transactions":2}}}`)
	equal(t, "reset", w.call(t, http.MethodPost, "/control/reset", "").body["calls"], 0)
	equal(t, "faults", w.Faults(), simulator.Faults{})
	equal(t, "customer", w.call(t, http.MethodGet, customer, "").status, 404)
}

func TestControlAnswersThisMachineOnly(t *testing.T) {
	t.Parallel()
	sim, err := simulator.New(simulator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{
		"127.0.0.1:9": 200, "127.8.8.8:9": 200, "[::1]:9": 200, "[::ffff:127.0.0.1]:9": 200,
		"10.0.0.7:9": 403, "[2001:db8::1]:9": 403, "192.0.2.1:80": 403, "": 403, "@": 403, "localhost:9": 403,
	} {
		for _, call := range []string{"GET /control/faults", "GET /control/stats", "POST /control/reset"} {
			method, path, _ := strings.Cut(call, " ")
			r := httptest.NewRequest(method, path, nil)
			r.RemoteAddr = address
			w := httptest.NewRecorder()
			sim.ServeHTTP(w, r)
			equal(t, address+" "+call, w.Code, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, project+"/virtual_currencies", nil)
	r.RemoteAddr = "10.0.0.7:9"
	r.Header.Set("Authorization", "Bearer k")
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	equal(t, "the provider's side", w.Code, 200)

	open, err := simulator.New(simulator.Config{OpenControls: true})
	if err != nil {
		t.Fatal(err)
	}
	r = httptest.NewRequest(http.MethodGet, "/control/stats", nil)
	r.RemoteAddr = "10.0.0.7:9"
	w = httptest.NewRecorder()
	open.ServeHTTP(w, r)
	equal(t, "open controls", w.Code, 200)
}

func TestFaultsKeepTheirJSONForm(t *testing.T) {
	t.Parallel()
	want := simulator.Faults{FailBefore: 0.5, Delay: 1500 * time.Millisecond, RatePerMinute: 3}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got simulator.Faults
	if err := json.Unmarshal(raw, &got); err != nil || got != want {
		t.Errorf("%s became %+v, %v", raw, got, err)
	}
}
