package webhooks_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// Every documented type has an event in testdata, made up from the documented
// fields, and beside it what we make of it.
func TestEveryDocumentedEventSaysWhatItSays(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 25 {
		t.Fatalf("%d events, %v", len(paths), err)
	}
	seen := map[webhooks.Type]bool{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		event, err := webhooks.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		seen[event.Type] = true
		facts, err := event.Facts()
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		said := map[string]any{
			"event": map[string]any{
				"id": event.ID, "type": event.Type, "at": event.At, "environment": event.Environment, "app_user_id": event.AppUserID,
				"known": event.Type.Known(), "route": event.Route(),
			},
			"facts": facts,
		}
		if f := facts.Purchase; f != nil {
			said["stamp"] = map[string]any{"key": f.Key, "source": f.Source, "kind": f.Kind, "at": f.At, "by": f.By}
		}
		got, err := json.MarshalIndent(said, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		testenv.Golden(t, strings.TrimSuffix(path, ".json")+".golden", append(got, '\n'))
	}
	for _, name := range []webhooks.Type{
		webhooks.Test, webhooks.InitialPurchase, webhooks.Renewal, webhooks.NonRenewingPurchase, webhooks.Cancellation, webhooks.Uncancellation,
		webhooks.BillingIssue, webhooks.SubscriptionPaused, webhooks.SubscriptionExtended, webhooks.Expiration, webhooks.ProductChange,
		webhooks.RefundReversed, webhooks.Transfer, webhooks.SubscriberAlias, webhooks.PurchaseRedeemed, webhooks.TemporaryGrant,
		webhooks.InvoiceIssuance, webhooks.CurrencyTransaction, webhooks.ExperimentEnrollment, webhooks.PriceIncreaseRequired, webhooks.PaywallImpression,
	} {
		if !seen[name] {
			t.Errorf("no event of type %s", name)
		}
	}
}

func TestWhatIsNoEventIsUndecodable(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "{", "[]", "null", `"event"`, "{}", `{"event":null}`, `{"event":[]}`, `{"event":{}}`, `{"event":{"id":"a"}}`, `{"event":{"type":"A"}}`,
		`{"event":{"id":{},"type":"A"}}`, `{"event":{"id":"a","type":"A","event_timestamp_ms":"now"}}`, `{"event":{"id":"a","type":"A","event_timestamp_ms":1.5}}`,
		`{"event":{"id":"a","type":"A","aliases":"b"}}`, `{"event":{"id":"` + strings.Repeat("a", 256) + `","type":"A"}}`,
	} {
		if event, err := webhooks.Parse([]byte(raw)); !errors.Is(err, webhooks.ErrUndecodable) {
			t.Errorf("%.60s: got %+v, %v", raw, event, err)
		}
	}
}

// An event that should change something and lacks what it takes is an error: it
// must not be taken for one that changes nothing.
func TestAnEventThatLacksWhatItTakesIsAnError(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/initial_purchase.json")
	if err != nil {
		t.Fatal(err)
	}
	currency, err := os.ReadFile("testdata/virtual_currency_transaction.json")
	if err != nil {
		t.Fatal(err)
	}
	transfer, err := os.ReadFile("testdata/transfer.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		raw   []byte
		field string
		value any
	}{
		{raw, "transaction_id", nil}, {raw, "store", nil}, {raw, "environment", "STAGING"}, {raw, "product_id", ""}, {raw, "purchased_at_ms", nil},
		{raw, "event_timestamp_ms", nil}, {raw, "quantity", 1.5}, {raw, "quantity", -1}, {raw, "price", "free"}, {raw, "price_in_purchased_currency", 1e30},
		{raw, "is_family_share", "maybe"}, {currency, "virtual_currency_transaction_id", nil}, {currency, "adjustments", []any{map[string]any{"amount": 1}}},
		{currency, "adjustments", nil}, {currency, "adjustments", []any{}},
		{currency, "adjustments", []any{map[string]any{"amount": 0.5, "currency": map[string]any{"code": "GEM"}}}},
		{transfer, "transferred_from", []string{}}, {transfer, "transferred_to", nil},
	} {
		var body map[string]map[string]any
		if err := json.Unmarshal(test.raw, (*anyBody)(&body)); err != nil {
			t.Fatal(err)
		}
		body["event"][test.field] = test.value
		changed, err := json.Marshal(map[string]any{"event": body["event"]})
		if err != nil {
			t.Fatal(err)
		}
		event, err := webhooks.Parse(changed)
		if err != nil {
			t.Errorf("%s %v: %v", test.field, test.value, err)
			continue
		}
		if facts, err := event.Facts(); !errors.Is(err, webhooks.ErrUndecodable) {
			t.Errorf("%s %v: says %+v, %v", test.field, test.value, facts, err)
		}
	}
}

// anyBody reads the event of a body and leaves the rest.
type anyBody map[string]map[string]any

func (b *anyBody) UnmarshalJSON(raw []byte) error {
	var body struct {
		Event map[string]any `json:"event"`
	}
	err := json.Unmarshal(raw, &body)
	*b = anyBody{"event": body.Event}
	return err
}

func TestIdsMayBeNumbersAndPricesNeverPassThroughAFloat(t *testing.T) {
	t.Parallel()
	event, err := webhooks.Parse([]byte(`{"event":{"id":7,"type":"NON_RENEWING_PURCHASE","event_timestamp_ms":1.772366401e12,"store":"amazon","environment":"PRODUCTION",
		"app_user_id":42,"product_id":"gems","transaction_id":1000000123456789012,"purchased_at_ms":1772366400000,"price":0.1,"price_in_purchased_currency":1234567.891,"currency":"JPY"}}`))
	if err != nil {
		t.Fatal(err)
	}
	facts, err := event.Facts()
	if err != nil {
		t.Fatal(err)
	}
	f := facts.Purchase
	if f.By != "7" || f.AppUserID != "42" || f.Key.TransactionID != "1000000123456789012" || *f.PaidUSD != 100_000 || f.Paid.Micros != 1_234_567_891_000 {
		t.Errorf("says %+v, paid %+v and %d", f, f.Paid, *f.PaidUSD)
	}
}

func FuzzFacts(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		event, err := webhooks.Parse(raw)
		if err != nil {
			return
		}
		facts, err := event.Facts()
		if err == nil && facts.Purchase != nil && facts.Purchase.Validate() != nil {
			t.Errorf("an invalid fact: %+v", facts.Purchase)
		}
	})
}
