package simulator_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// receiver takes webhooks: the first gets the first status, and so on; the last one
// repeats. 0 cuts the connection.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	seen     []*http.Request
	bodies   []string
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	status := r.statuses[min(len(r.seen), len(r.statuses)-1)]
	r.seen, r.bodies = append(r.seen, req), append(r.bodies, string(body))
	r.mu.Unlock()
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// ids lists the events in the order they came.
func (r *receiver) ids(t *testing.T) (ids []string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, body := range r.bodies {
		var b struct{ Event struct{ ID string } }
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, b.Event.ID)
	}
	return ids
}

// hasty makes the provider's 155 minutes of retries a tenth of a second.
const hasty = 100_000

func (w *world) wait(t *testing.T) simulator.WebhookStats {
	t.Helper()
	if err := w.WaitWebhooks(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w.WebhookStats()
}

func TestAWebhookIsSignedAnewAndSentUntilItIsTakenWithA200(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500, 202, 204, 307, 0, 200)
	w, clock := newStore(t, simulator.Config{Webhooks: simulator.Webhooks{
		URL: r.URL + "/hook", Authorization: "Bearer exact value", SigningSecret: "whsec", Faster: hasty,
	}})
	out := must(t)(w.Buy(simulator.Buy{Customer: "p1", Product: "skin"}))
	equal(t, "stats", w.wait(t), simulator.WebhookStats{Events: 1, Attempts: 6, Delivered: 1})
	for i, body := range r.bodies {
		equal(t, "the same bytes", body, r.bodies[0])
		got := r.seen[i].Header
		equal(t, "headers", []string{r.seen[i].Method, r.seen[i].URL.Path, got.Get("Authorization"), got.Get("Content-Type")},
			[]string{http.MethodPost, "/hook", "Bearer exact value", "application/json"})
		mac := hmac.New(sha256.New, []byte("whsec"))
		_, _ = fmt.Fprintf(mac, "%d.%s", clock.Now().Unix(), body)
		equal(t, "signature", got.Get("X-RevenueCat-Webhook-Signature"), fmt.Sprintf("t=%d,v1=%s", clock.Now().Unix(), hex.EncodeToString(mac.Sum(nil))))
	}
	clock.pass(month)
	status, err := w.Resend(t.Context(), out.Events[0])
	equal(t, "sent once more", []any{status, err}, []any{200, nil})
	equal(t, "signed now", strings.HasPrefix(r.seen[6].Header.Get("X-RevenueCat-Webhook-Signature"), fmt.Sprintf("t=%d,", clock.Now().Unix())), true)
	if _, err := w.Resend(t.Context(), "nothing"); err == nil {
		t.Error("nothing was sent")
	}
}

func TestAWebhookIsGivenUpAfterSixAttempts(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 503)
	w, _ := newStore(t, simulator.Config{Webhooks: simulator.Webhooks{URL: r.URL, Faster: hasty}})
	must(t)(w.Buy(simulator.Buy{Customer: "p1", Product: "skin"}))
	equal(t, "stats", w.wait(t), simulator.WebhookStats{Events: 1, Attempts: 6, Dropped: 1})
	got := w.Events()[0]
	equal(t, "event", []any{got.State, got.Attempts, got.Status}, []any{simulator.SentDropped, 6, 503})
	equal(t, "no authorization", r.seen[0].Header.Get("Authorization"), "")
	equal(t, "not signed", r.seen[0].Header.Get("X-RevenueCat-Webhook-Signature"), "")
}

func TestWebhooksAreLostDuplicatedAndReordered(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	w, _ := newStore(t, simulator.Config{Webhooks: simulator.Webhooks{URL: r.URL}})
	buy := func(f simulator.WebhookFaults) string {
		w.SetWebhookFaults(f)
		return must(t)(w.Buy(simulator.Buy{Customer: "p1", Product: "skin"})).Events[0]
	}
	lost := buy(simulator.WebhookFaults{Lose: 1})
	late := buy(simulator.WebhookFaults{Reorder: 1})
	twice := buy(simulator.WebhookFaults{Duplicate: 1}) // and then what is late
	equal(t, "stats", w.wait(t), simulator.WebhookStats{Events: 3, Attempts: 3, Delivered: 2, Lost: 1})
	equal(t, "order", r.ids(t), []string{twice, twice, late})
	if status, err := w.Resend(t.Context(), lost); err != nil || status != 200 {
		t.Errorf("%d, %v", status, err)
	}
	equal(t, "found again", r.ids(t)[3], lost)
	states := map[string]simulator.SentState{}
	for _, sent := range w.Events() {
		states[sent.ID] = sent.State
	}
	equal(t, "states", states, map[string]simulator.SentState{lost: "delivered", late: "delivered", twice: "delivered"})
}

func TestAResetAndACloseEndTheWebhooksUnderWay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500)
	w, _ := newStore(t, simulator.Config{Webhooks: simulator.Webhooks{URL: r.URL, Faster: 1}}) // the first wait is five minutes
	buy := func() { must(t)(w.Buy(simulator.Buy{Customer: "p1", Product: "skin"})) }
	buy()
	if err := w.Reset(); err != nil {
		t.Fatal(err)
	}
	equal(t, "forgotten", []any{w.wait(t), len(w.Events()), w.Balance("p1") == nil}, []any{simulator.WebhookStats{}, 0, true})
	buy()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	buy()
	equal(t, "after the close", w.wait(t).Lost, 2)
}

func TestControlPlaysTheStores(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200)
	w, _ := newStore(t, simulator.Config{Webhooks: simulator.Webhooks{URL: r.URL}})
	post := func(path, body string) response { return w.call(t, http.MethodPost, "/control/"+path, body) }
	equal(t, "product", post("products", `{"store":"app_store","identifier":"pass","lasts":"720h","credits":{"GEM":5}}`).status, 200)
	bought := post("buy", `{"customer":"p1","product":"pass"}`)
	equal(t, "bought", []any{bought.status, len(bought.body["events"].([]any))}, []any{200, 2})
	id := bought.body["transaction"].(string)
	for _, path := range []string{"cancel", "uncancel", "refund", "unrefund", "billing", "expire", "renew"} {
		equal(t, path, post(path, `{"transaction":"`+id+`"}`).status, 200)
	}
	equal(t, "link", post("link", `{"customer":"p1","alias":"$RCAnonymousID:1"}`).status, 200)
	equal(t, "transfer", post("transfer", `{"from":"$RCAnonymousID:1","to":"p2"}`).status, 200)
	w.wait(t)
	var types []string
	for _, item := range w.call(t, http.MethodGet, "/control/events?limit=50", "").body["events"].([]any) {
		types = append(types, item.(map[string]any)["type"].(string))
		equal(t, "state", item.(map[string]any)["state"], "delivered")
	}
	const moved = "VIRTUAL_CURRENCY_TRANSACTION"
	equal(t, "events", types, []string{
		"INITIAL_PURCHASE", moved, "CANCELLATION", "UNCANCELLATION", "CANCELLATION", "EXPIRATION", moved, "REFUND_REVERSED", moved,
		"BILLING_ISSUE", "CANCELLATION", "EXPIRATION", "RENEWAL", moved, "TRANSFER",
	})
	shown := w.call(t, http.MethodGet, "/control/purchases?customer=p2", "")
	equal(t, "periods", len(shown.body["subscriptions"].([]any)[0].(map[string]any)["periods"].([]any)), 2)
	first := bought.body["events"].([]any)[0].(string)
	got := w.call(t, http.MethodPost, "/control/events/"+first, "")
	equal(t, "sent again", []any{got.status, got.body["attempts"], got.body["body"].(map[string]any)["api_version"]}, []any{200, 2, "1.0"})
	equal(t, "no such event", w.call(t, http.MethodGet, "/control/events/x", "").status, 404)

	faults := w.call(t, http.MethodPatch, "/control/webhooks", `{"lose":0.5,"delay":"1s"}`)
	equal(t, "faults", faults.body["faults"], map[string]any{"lose": 0.5, "duplicate": 0.0, "reorder": 0.0, "delay": "1s", "jitter": "0s"})
	equal(t, "kept", w.WebhookFaults(), simulator.WebhookFaults{Lose: 0.5, Delay: 1e9})
	for _, call := range []string{
		`PATCH webhooks {"lost":1}`, `PUT webhooks {"lose":2}`, `PUT webhooks {"delay":"1h"}`, `POST buy {"custommer":"p1"}`, `POST buy {"customer":"p1","product":"moon"}`,
		`POST renew {}`, `POST billing {"transaction":"` + id + `","grace":7}`, `POST products {"store":"app_store"}`, `GET events?limit=x {}`,
	} {
		part := strings.SplitN(call, " ", 3)
		if got := w.call(t, part[0], "/control/"+part[1], part[2]); got.status != 400 || got.body["error"] == "" {
			t.Errorf("%s: %+v", call, got)
		}
	}
}

// TestAWebhookOfOnesOwnIsProvedAndSentOnce: whatever its bytes, and whatever the faults.
func TestAWebhookOfOnesOwnIsProvedAndSentOnce(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 200, 400)
	w, clock := newStore(t, simulator.Config{Webhooks: simulator.Webhooks{URL: r.URL, Authorization: "Bearer a", SigningSecret: "whsec", Faster: hasty}})
	w.SetWebhookFaults(simulator.WebhookFaults{Lose: 1})
	const own = `{"event": {"id":"mine","type":"TEST"}}`
	for _, sent := range []struct {
		body, id, state string
		status          int
	}{{own, "mine", "delivered", 200}, {"no JSON", "", "dropped", 400}} {
		got := w.call(t, http.MethodPost, "/control/events", sent.body)
		equal(t, "shown", []any{got.status, got.body["id"], got.body["state"], got.body["status"]}, []any{200, sent.id, sent.state, sent.status})
	}
	equal(t, "bytes", r.bodies, []string{own, "no JSON"})
	mac := hmac.New(sha256.New, []byte("whsec"))
	_, _ = fmt.Fprintf(mac, "%d.%s", clock.Now().Unix(), own)
	equal(t, "proof", []string{r.seen[0].Header.Get("Authorization"), r.seen[0].Header.Get("X-RevenueCat-Webhook-Signature")},
		[]string{"Bearer a", fmt.Sprintf("t=%d,v1=%s", clock.Now().Unix(), hex.EncodeToString(mac.Sum(nil)))})
	equal(t, "stats", w.wait(t), simulator.WebhookStats{Events: 2, Attempts: 2, Delivered: 1, Dropped: 1})
	equal(t, "kept", w.call(t, http.MethodGet, "/control/events/mine", "").body["state"], "delivered")

	off := newWorld(t, simulator.Config{})
	equal(t, "no receiver", off.call(t, http.MethodPost, "/control/events", own).status, 400)
}
