package revenuecat

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const customerURI = "/v2/projects/proj_1/customers/%24RCAnonymousID%3A8f3a%2F77"

// A list is read to its end wherever next_page claims to be, and never from there:
// the key would go along.
func TestListsAreReadToTheirEndFromOurOwnAddressOnly(t *testing.T) {
	t.Parallel()
	for _, last := range []string{`null`, `""`} {
		foreign := newProvider(t, says(500, ``))
		p := newProvider(t,
			says(200, page(`"/v2/projects/proj_1/customers/x/aliases?limit=2&starting_after=B%2Fb"`, `{"id":"A"}`, `{"id":"B/b"}`)),
			says(200, page(`"`+foreign.URL+`/v2/x?starting_after=C"`, `{"id":"C","object":"customer.alias","created_at":1658399423658}`)),
			says(200, page(`"//elsewhere.example"`, `{"id":17}`, `{"id":null}`, `{"id":"D"}`)),
			says(200, page(last)))
		got, err := newClient(t, p.URL).Reader(nil).Aliases(t.Context(), testPlayer)
		if err != nil || !reflect.DeepEqual(got, []string{"A", "B/b", "C", "17", "D"}) {
			t.Errorf("%v, %v", got, err)
		}
		var uris []string
		for _, r := range p.requests() {
			uris = append(uris, r.uri)
			if r.method != http.MethodGet || r.authorization != "Bearer "+testKey || r.body != "" || r.key != "" {
				t.Errorf("%+v", r)
			}
		}
		at := customerURI + "/aliases"
		if want := []string{at, at + "?starting_after=B%2Fb", at + "?starting_after=C", at + "?starting_after=D"}; !reflect.DeepEqual(uris, want) {
			t.Errorf("asked %v, want %v", uris, want)
		}
		if len(foreign.requests()) > 0 {
			t.Error("a foreign host was asked")
		}
	}
}

func TestPurchasesAreReadAsDocumentedAndAsOdd(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(200, page(`null`,
		`{"object":"purchase","id":"purch1","customer_id":"c1","original_customer_id":"c0","product_id":"prod1","purchased_at":1658399423658,
		  "revenue_in_usd":{"currency":"USD","gross":9.99,"commission":2.99,"tax":0.75,"proceeds":6.25},"quantity":3,"status":"refunded",
		  "presented_offering_id":null,"entitlements":{"object":"list","items":[],"next_page":null,"url":"x"},"environment":"production",
		  "store":"play_store","store_purchase_identifier":"GPA.1","ownership":"purchased","country":"US"}`,
		`{"id":"purch2","customer_id":"c1","product_id":null,"purchased_at":1658399423658.0,"quantity":null,"status":"held_back",
		  "environment":"SANDBOX","store":"TEST_STORE","store_purchase_identifier":200000012345678,"ownership":"family_shared"}`)))
	got, err := newClient(t, p.URL).Reader(nil).Purchases(t.Context(), testPlayer)
	at := time.UnixMilli(1658399423658).UTC()
	want := []Purchase{
		{"purch1", "c1", "c0", "prod1", at, 3, PurchaseRefunded, economy.Production, economy.PlayStore, "GPA.1", economy.OwnershipPurchased},
		{"purch2", "c1", "", "", at, 0, "held_back", economy.Sandbox, "test_store", "200000012345678", economy.OwnershipFamily},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v\n%v", got, want, err)
	}
}

func TestSubscriptionsAndTheirPeriodsAreRead(t *testing.T) {
	t.Parallel()
	p := newProvider(t,
		says(200, page(`null`, `{"id":"sub1","customer_id":"c1","original_customer_id":"c1","product_id":null,"starts_at":1000,"current_period_starts_at":2000,
			"current_period_ends_at":null,"ends_at":3000,"gives_access":true,"status":"trialing","environment":"production","store":"app_store",
			"store_subscription_identifier":"t2","ownership":"purchased","pending_changes":{"product":{"id":"prod9"}}}`)),
		says(200, page(`null`,
			`{"id":"t1","purchased_at":1000,"product_store_identifier":"premium","expiration_date":2000,"effective_expiration_date":1500,"revenue_in_usd":{"gross":0}}`,
			`{"id":"t2","purchased_at":2000,"expiration_date":null,"effective_expiration_date":null,"revenue_in_usd":{"gross":0.01}}`,
			`{"id":"t3","purchased_at":2000,"revenue_in_usd":null}`)),
		says(200, page(`null`)))
	r := newClient(t, p.URL).Reader(nil)
	ms := func(n int64) time.Time { return time.UnixMilli(n).UTC() }
	got, err := r.Subscriptions(t.Context(), testPlayer)
	want := []Subscription{{
		ID: "sub1", CustomerID: "c1", OriginalCustomerID: "c1", StartsAt: ms(1000), CurrentPeriodStartsAt: ms(2000), EndsAt: ms(3000), GivesAccess: true,
		Status: SubscriptionTrialing, Environment: economy.Production, Store: economy.AppStore, StoreID: "t2", Ownership: economy.OwnershipPurchased,
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v\n%v", got, want, err)
	}
	periods, err := r.Transactions(t.Context(), testPlayer, "sub/1")
	wantPeriods := []Transaction{
		{"t1", ms(1000), "premium", ms(2000), ms(1500), true}, {"t2", ms(2000), "", time.Time{}, time.Time{}, false}, {ID: "t3", PurchasedAt: ms(2000)},
	}
	if err != nil || !reflect.DeepEqual(periods, wantPeriods) {
		t.Errorf("\n got %+v\nwant %+v\n%v", periods, wantPeriods, err)
	}
	if found, err := r.FindSubscriptions(t.Context(), testPlayer, "GPA.1..0&x"); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
	for i, uri := range []string{
		customerURI + "/subscriptions", "/v2/projects/proj_1/subscriptions/sub%2F1/transactions",
		"/v2/projects/proj_1/subscriptions?store_subscription_identifier=GPA.1..0%26x",
	} {
		if got := p.requests()[i].uri; got != uri {
			t.Errorf("asked %s, want %s", got, uri)
		}
	}
}

func TestReadsTellWhatWentWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		step    http.HandlerFunc
		want    Error // Detail is not compared
		missing bool
	}{
		{"404", says(404, errorBody("resource_missing")), Error{Status: 404, Code: "resource_missing"}, true},
		{"403", says(403, ``), Error{Status: 403, Code: "authorization_error"}, false},
		{"423", says(423, errorBody("resource_locked_error", `,"backoff_ms":50`)), Error{Status: 423, Code: "resource_locked_error", RetryAfter: 50 * time.Millisecond}, false},
		{"503", says(503, ``, "Retry-After", "7"), Error{Status: 503, Code: "server_error", RetryAfter: 7 * time.Second}, false},
		{"cut", cuts, Error{}, false},
		{"redirect", says(307, ``, "Location", "/x"), Error{Status: 307}, false},
		{"not JSON", says(200, `<html>`), Error{Status: 200}, false},
		{"not a list", says(200, `{"object":"purchase"}`), Error{Status: 200}, false},
		{"nowhere to go on", says(200, page(`"/x"`)), Error{Status: 200}, false},
		{"the same page again", says(200, page(`"?starting_after=A"`, `{"id":"A"}`)), Error{Status: 200}, false},
		{"an item of another type", says(200, page(`null`, `{"id":"A"}`, `{"purchased_at":"2026-01-01"}`)), Error{Status: 200}, false},
		{"an item that is none", says(200, page(`null`, `"`+testPlayer+`"`)), Error{Status: 200}, false},
		{"too long", says(200, page(`null`, `{"id":"`+strings.Repeat("A", bodyMax)+`"}`)), Error{Status: 200}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, test.step)
			_, err := newClient(t, p.URL).Reader(nil).Purchases(t.Context(), testPlayer)
			got := *asError(t, err)
			test.want.Op, test.want.Detail = OpPurchases, got.Detail
			if got != test.want || IsMissing(err) != test.missing {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if strings.Contains(err.Error(), testPlayer) || strings.Contains(err.Error(), testKey) {
				t.Errorf("it names the player or the key: %v", err)
			}
		})
	}
	for _, id := range []string{"", ".", ".."} {
		_, err := newClient(t, "http://127.0.0.1:1").Reader(nil).Aliases(t.Context(), id)
		if asError(t, err).Code != CodeNoAddress {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// refusal is an Admit's error that says when to come back.
type refusal struct{}

func (refusal) Error() string             { return "not now" }
func (refusal) RetryAfter() time.Duration { return 3 * time.Second }

func TestEveryCallAsksToBeAdmittedAndSaysHowItEnded(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(200, page(`"?starting_after=A"`, `{"id":"A"}`)), says(429, ``))
	type ended struct {
		domain Domain
		player string
		status int
	}
	var calls []ended
	type key struct{}
	admit := func(ctx context.Context, domain Domain, player string) (context.Context, func(int), error) {
		if len(calls) == 2 {
			return nil, nil, refusal{}
		}
		return context.WithValue(ctx, key{}, true), func(status int) { calls = append(calls, ended{domain, player, status}) }, nil
	}
	at := newClock()
	r := newClient(t, p.URL, func(cfg *Config) { cfg.Now = at.Now }).Reader(admit)
	_, err := r.Purchases(t.Context(), testPlayer)
	if asError(t, err).Status != 429 {
		t.Error(err)
	}
	_, err = r.Purchases(t.Context(), testPlayer)
	if got := asError(t, err); got.RetryAfter != 3*time.Second || !errors.Is(err, refusal{}) || got.Status != 0 {
		t.Errorf("%+v", got)
	}
	want := []ended{{CustomerInformation, testPlayer, 200}, {CustomerInformation, testPlayer, 429}}
	if !reflect.DeepEqual(calls, want) || len(p.requests()) != 2 {
		t.Errorf("%+v, %d requests", calls, len(p.requests()))
	}
}

func TestAProductIsAskedForOnceForAll(t *testing.T) {
	t.Parallel()
	p := newProvider(t,
		says(200, page(`"?starting_after=prod1"`, `{"id":"prod1","store_identifier":"gems_100"}`)),
		says(200, page(`null`, `{"id":"prod2","store_identifier":"premium:monthly","app":{"id":"app1"}}`)),
		says(200, `{"id":"prod3","store_identifier":"new_one","type":"consumable"}`),
		says(404, errorBody("resource_missing")),
		says(200, `{"id":"other","store_identifier":"x"}`))
	at := newClock()
	products := NewProducts(newClient(t, p.URL, func(cfg *Config) { cfg.Now = at.Now }).Reader(nil))
	for range 2 {
		for id, want := range map[string]string{"prod1": "gems_100", "prod2": "premium:monthly"} {
			if got, err := products.StoreIdentifier(t.Context(), id); err != nil || got != want {
				t.Errorf("%s: %q, %v", id, got, err)
			}
		}
	}
	for range 2 {
		if got, err := products.StoreIdentifier(t.Context(), "prod3"); err != nil || got != "new_one" {
			t.Errorf("%q, %v", got, err)
		}
	}
	for range 2 {
		if _, err := products.StoreIdentifier(t.Context(), "gone"); !IsMissing(err) {
			t.Error(err)
		}
	}
	if n := len(p.requests()); n != 4 {
		t.Errorf("%d calls, want 4", n)
	}
	at.Advance(missingFor)
	if _, err := products.StoreIdentifier(t.Context(), "gone"); err == nil || IsMissing(err) {
		t.Errorf("another product's answer: %v", err)
	}
}

func TestACustomerIsReadByAnyOfItsIDs(t *testing.T) {
	t.Parallel()
	p := newProvider(t, says(200, `{"object":"customer","id":"c1","first_seen_at":1000,"last_seen_at":null}`), says(200, `{}`))
	r := newClient(t, p.URL).Reader(nil)
	got, err := r.Customer(t.Context(), testPlayer)
	if err != nil || got != (Customer{ID: "c1", FirstSeenAt: time.UnixMilli(1000).UTC()}) || p.requests()[0].uri != customerURI {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := r.Customer(t.Context(), testPlayer); err == nil {
		t.Error("a customer without an id is none")
	}
}
