package simulator_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

const month = 30 * 24 * time.Hour

// wares are for sale in the tests.
var wares = []simulator.Product{
	{Store: "app_store", Identifier: "gems_100", Name: "100 gems", Price: 1.99, Credits: economy.Amounts{"GEM": 100}},
	{Store: "play_store", Identifier: "gems_100", Credits: economy.Amounts{"GEM": 100}},
	{Store: "app_store", Identifier: "premium", Price: 9.99, Lasts: month, Credits: economy.Amounts{"GEM": 500}},
	{Store: "play_store", Identifier: "premium:monthly", Lasts: month},
	{Store: "stripe", Identifier: "premium", Lasts: month},
	{Store: "app_store", Identifier: "skin"},
}

// hands is a clock that moves when told to.
type hands struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hands) Now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }
func (h *hands) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func newStore(t *testing.T, cfg simulator.Config) (*world, *hands) {
	t.Helper()
	clock := &hands{now: noon}
	cfg.Now, cfg.Products = clock.Now, wares
	return newWorld(t, cfg), clock
}

// must returns what a store's act came to.
func must(t *testing.T) func(simulator.Bought, error) simulator.Bought {
	t.Helper()
	return func(b simulator.Bought, err error) simulator.Bought {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// members reads an event's own members.
func members(t *testing.T, sent simulator.Sent) map[string]any {
	t.Helper()
	var body struct {
		Version string         `json:"api_version"`
		Event   map[string]any `json:"event"`
	}
	if err := json.Unmarshal(sent.Body, &body); err != nil || body.Version != "1.0" {
		t.Fatalf("%s: %v", sent.Body, err)
	}
	return body.Event
}

// Every event has the members of the provider's sample of its type, and is read by
// our own reader of webhooks.
func TestEventsHaveTheMembersOfTheProvidersSamples(t *testing.T) {
	t.Parallel()
	w, clock := newStore(t, simulator.Config{})
	do := must(t)
	gems := do(w.Buy(simulator.Buy{Customer: "p1", Product: "gems_100", Quantity: 3})).Transaction
	do(w.Refund(gems))
	do(w.ReverseRefund(gems))
	trial := do(w.Buy(simulator.Buy{Customer: "p1", Product: "premium", Trial: true, Lasts: 72 * time.Hour})).Transaction
	clock.pass(time.Hour)
	do(w.Cancel(trial))
	do(w.Uncancel(trial))
	paid := do(w.Renew(trial, "")).Transaction
	do(w.FailBilling(paid, 16*24*time.Hour))
	do(w.Refund(paid))
	do(w.Transfer("p1", "p2"))
	samples := map[string]string{
		"NON_RENEWING_PURCHASE": "non_renewing_purchase", "INITIAL_PURCHASE": "initial_purchase", "RENEWAL": "renewal", "EXPIRATION": "expiration_refund",
		"CANCELLATION": "cancellation_refund", "UNCANCELLATION": "uncancellation", "BILLING_ISSUE": "billing_issue", "REFUND_REVERSED": "refund_reversed",
		"TRANSFER": "transfer", "VIRTUAL_CURRENCY_TRANSACTION": "virtual_currency_transaction",
	}
	seen := map[string]bool{}
	for _, sent := range w.Events() {
		got := members(t, sent)
		if seen[sent.Type] = true; samples[sent.Type] == "" {
			t.Errorf("no sample of %s", sent.Type)
			continue
		}
		raw, err := os.ReadFile("../webhooks/testdata/" + samples[sent.Type] + ".json")
		if err != nil {
			t.Fatal(err)
		}
		want := members(t, simulator.Sent{Body: raw})
		missing := slices.DeleteFunc(slices.Sorted(maps.Keys(want)), func(name string) bool {
			_, has := got[name]
			return has || slices.Contains([]string{"quantity", "metadata", "renewal_number"}, name) // said sometimes
		})
		equal(t, sent.Type+" lacks", missing, []string{})
		event, err := webhooks.Parse(sent.Body)
		if err != nil || event.ID != sent.ID || !event.At.Equal(sent.At) {
			t.Errorf("%s: %+v, %v", sent.Type, event, err)
		}
		if _, err := event.Facts(); err != nil {
			t.Errorf("%s: %v", sent.Type, err)
		}
	}
	equal(t, "types", len(seen), len(samples))
}

func TestPurchasesCreditTheirCurrencyAndRefundsTakeItBack(t *testing.T) {
	t.Parallel()
	w, _ := newStore(t, simulator.Config{})
	do := must(t)
	gems := func(want economy.Amount) {
		t.Helper()
		equal(t, "gems", w.Balance("p1")["GEM"], want)
	}
	first := do(w.Buy(simulator.Buy{Customer: "p1", Product: "gems_100", Quantity: 3}))
	gems(300)
	sub := do(w.Buy(simulator.Buy{Customer: "p1", Product: "premium", Trial: true})).Transaction
	gems(300)
	paid := do(w.Renew(sub, "")).Transaction
	gems(800)
	do(w.Buy(simulator.Buy{Customer: "p1", Product: "skin"}))
	w.call(t, http.MethodPost, adjust, `{"adjustments":{"GEM":-700}}`)
	gems(100)
	do(w.Refund(first.Transaction))
	gems(0) // not below
	do(w.ReverseRefund(first.Transaction))
	gems(100)
	do(w.Transfer("p1", "p2"))
	gems(100) // currency stays
	do(w.Refund(paid))
	gems(0) // and goes from whoever got it
	equal(t, "the new owner", w.Balance("p2"), economy.Amounts{})
	do(w.Renew(paid, ""))
	equal(t, "the next period", w.Balance("p2")["GEM"], 500)
	var moves []string
	for _, sent := range w.Events() {
		if sent.Type == "VIRTUAL_CURRENCY_TRANSACTION" {
			m := members(t, sent)
			moves = append(moves, fmt.Sprintf("%v %v %v", m["app_user_id"], m["adjustments"].([]any)[0].(map[string]any)["amount"], m["updated_balance"]))
		}
	}
	equal(t, "moves", moves, []string{"p1 300 300", "p1 500 800", "p1 -100 0", "p1 100 100", "p1 -100 0", "p2 500 500"})
	equal(t, "transactions by the API", len(w.Transactions("p1")), 1)

	w.set(t, "p3", economy.Amounts{"GEM": economy.BalanceMax - 1})
	do(w.Buy(simulator.Buy{Customer: "p3", Product: "gems_100"}))
	equal(t, "the largest balance", w.Balance("p3")["GEM"], economy.BalanceMax)
}

func TestOurClientReadsWhatCustomersBought(t *testing.T) {
	t.Parallel()
	w, clock := newStore(t, simulator.Config{})
	do := must(t)
	const anon = "$RCAnonymousID:1/x"
	one := do(w.Buy(simulator.Buy{Customer: anon, Product: "gems_100", Quantity: 2}))
	clock.pass(time.Second)
	for range 45 { // three pages
		do(w.Buy(simulator.Buy{Customer: "p1", Product: "skin", Sandbox: true}))
	}
	trial := do(w.Buy(simulator.Buy{Customer: "p1", Product: "premium:monthly", Store: "play_store", Trial: true, Lasts: 72 * time.Hour}))
	if err := w.Link("p1", anon); err != nil {
		t.Fatal(err)
	}
	do(w.Refund(one.Transaction))
	r := w.client(t).Reader(nil)
	ids, err := r.Aliases(t.Context(), "p1")
	equal(t, "aliases", []any{ids, err}, []any{[]string{anon, "p1"}, nil})
	customer, err := r.Customer(t.Context(), "p1")
	equal(t, "customer", []any{customer.ID, customer.FirstSeenAt, err}, []any{anon, noon, nil})

	bought, err := r.Purchases(t.Context(), "p1")
	if err != nil || len(bought) != 46 {
		t.Fatalf("%d, %v", len(bought), err)
	}
	products := revenuecat.NewProducts(r)
	sku, err := products.StoreIdentifier(t.Context(), bought[0].ProductID)
	equal(t, "product", []any{sku, err}, []any{"gems_100", nil})
	bought[0].ProductID = ""
	equal(t, "the first", bought[0], revenuecat.Purchase{
		ID: one.ID, CustomerID: anon, OriginalCustomerID: anon, PurchasedAt: noon, Quantity: 2, Status: revenuecat.PurchaseRefunded,
		Environment: economy.Production, Store: economy.AppStore, StoreID: one.Transaction, Ownership: economy.OwnershipPurchased,
	})
	equal(t, "another", []any{bought[45].Environment, bought[45].Status}, []any{economy.Sandbox, revenuecat.PurchaseOwned})

	subs, err := r.Subscriptions(t.Context(), anon)
	if err != nil || len(subs) != 1 || subs[0].ID != trial.ID || subs[0].Status != revenuecat.SubscriptionTrialing || !subs[0].GivesAccess {
		t.Fatalf("%+v, %v", subs, err)
	}
	clock.pass(time.Hour)
	second := do(w.Renew(trial.Transaction, "")).Transaction
	do(w.FailBilling(second, time.Hour))
	periods, err := r.Transactions(t.Context(), "p1", trial.ID)
	begins := noon.Add(time.Second + 72*time.Hour)
	equal(t, "periods", []any{periods, err}, []any{[]revenuecat.Transaction{
		{ // its product has no price
			ID: second, PurchasedAt: begins, Product: "premium:monthly", ExpiresAt: begins.Add(month), EffectiveExpires: begins.Add(month + time.Hour), Unpaid: true,
		},
		{ID: trial.Transaction, PurchasedAt: noon.Add(time.Second), Product: "premium:monthly", ExpiresAt: begins, EffectiveExpires: begins, Unpaid: true},
	}, nil})
	equal(t, "Google's next id", second, trial.Transaction+"..0")
	found, err := r.FindSubscriptions(t.Context(), "p1", trial.Transaction)
	equal(t, "found", []any{len(found), err}, []any{1, nil})
	sales, err := r.FindPurchases(t.Context(), "p9", one.Transaction)
	equal(t, "sale found", []any{len(sales), err}, []any{1, nil})
	sales, err = r.FindPurchases(t.Context(), "p9", "unknown")
	equal(t, "unknown", []any{len(sales), err}, []any{0, nil})

	web := do(w.Buy(simulator.Buy{Customer: "p2", Product: "premium", Store: "stripe"}))
	equal(t, "Stripe's id is one for all", do(w.Renew(web.Transaction, "")).Transaction, web.Transaction)
	if _, err = r.Transactions(t.Context(), "p2", web.ID); err == nil || revenuecat.IsMissing(err) {
		t.Errorf("Stripe's periods: %v", err)
	}
	_, err = r.Purchases(t.Context(), "nobody")
	equal(t, "nobody", revenuecat.IsMissing(err), true)
}

func TestAStoreRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	w, _ := newStore(t, simulator.Config{})
	do := must(t)
	skin := do(w.Buy(simulator.Buy{Customer: "p1", Product: "skin", Transaction: "t1"})).Transaction
	sub := do(w.Buy(simulator.Buy{Customer: "p1", Product: "premium"})).Transaction
	events := len(w.Events())
	for name, act := range map[string]func() (simulator.Bought, error){
		"unknown product": func() (simulator.Bought, error) { return w.Buy(simulator.Buy{Customer: "p1", Product: "moon"}) },
		"other store": func() (simulator.Bought, error) {
			return w.Buy(simulator.Buy{Customer: "p1", Product: "skin", Store: "amazon"})
		},
		"nobody": func() (simulator.Bought, error) { return w.Buy(simulator.Buy{Product: "skin"}) },
		"taken id": func() (simulator.Bought, error) {
			return w.Buy(simulator.Buy{Customer: "p2", Product: "skin", Transaction: "t1"})
		},
		"trial of a skin": func() (simulator.Bought, error) {
			return w.Buy(simulator.Buy{Customer: "p1", Product: "skin", Trial: true})
		},
		"two of a month": func() (simulator.Bought, error) {
			return w.Buy(simulator.Buy{Customer: "p1", Product: "premium", Quantity: 2})
		},
		"renew a skin":  func() (simulator.Bought, error) { return w.Renew(skin, "") },
		"expire a skin": func() (simulator.Bought, error) { return w.Expire(skin) },
		"renew nothing": func() (simulator.Bought, error) { return w.Renew("none", "") },
		"unrefund":      func() (simulator.Bought, error) { return w.ReverseRefund(sub) },
		"to itself":     func() (simulator.Bought, error) { return w.Transfer("p1", "p1") },
		"from nobody":   func() (simulator.Bought, error) { return w.Transfer("p9", "p1") },
	} {
		if out, err := act(); err == nil {
			t.Errorf("%s: %+v", name, out)
		}
	}
	w.set(t, "p2", nil)
	if err := w.Link("p1", "p2"); err == nil {
		t.Error("two named customers became one")
	}
	equal(t, "events", len(w.Events()), events)
	if err := w.AddProducts(simulator.Product{Store: "App", Identifier: "x", Credits: economy.Amounts{"RUBY": 1}}); err == nil {
		t.Error("a product that cannot be was added")
	}
}

// What was bought, and who is whom, is there again after a kill; numbers go on.
func TestJournalKeepsWhatWasBought(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "simulator.jsonl")
	w, _ := newStore(t, simulator.Config{JournalPath: path})
	do := must(t)
	sub := do(w.Buy(simulator.Buy{Customer: "p1", Product: "premium"}))
	do(w.Renew(sub.Transaction, ""))
	gems := do(w.Buy(simulator.Buy{Customer: "$RCAnonymousID:1", Product: "gems_100"}))
	if err := w.Link("p1", "$RCAnonymousID:1"); err != nil {
		t.Fatal(err)
	}
	do(w.Transfer("p1", "p2"))
	do(w.Refund(gems.Transaction))
	show := func(w *world) string {
		return w.call(t, http.MethodGet, "/control/purchases?customer=p2", "").text + w.call(t, http.MethodGet, "/control/customers/p1", "").text
	}
	again, _ := newStore(t, simulator.Config{JournalPath: path})
	equal(t, "after the kill", show(again), show(w))
	if !strings.Contains(show(w), gems.Transaction) {
		t.Error(show(w))
	}
	next := do(again.Buy(simulator.Buy{Customer: "p1", Product: "skin"}))
	for _, before := range append(w.Events(), simulator.Sent{ID: sub.ID}, simulator.Sent{ID: sub.Transaction}) {
		if before.ID == next.ID || before.ID == next.Transaction || slices.Contains(next.Events, before.ID) {
			t.Errorf("%s is used again", before.ID)
		}
	}
}
