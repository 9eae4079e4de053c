package webhooks_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
	"github.com/sluice-gems/sluice/internal/testenv"
)

// The flows of events that the provider documents, told from the day 0 of a
// subscription. Each must end the same in every order of arrival, with every event
// told twice.

var day0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func day(n float64) time.Time { return day0.Add(time.Duration(n * 24 * float64(time.Hour))) }

// told is one event: a type, when, and its fields. Short keys stand for long ones.
type told struct {
	kind webhooks.Type
	at   float64 // days
	with string  // "tx=1 product=monthly bought=0 expires=30"
}

var fieldNames = map[string]string{
	"tx": "transaction_id", "original": "original_transaction_id", "product": "product_id", "bought": "purchased_at_ms",
	"expires": "expiration_at_ms", "grace": "grace_period_expiration_at_ms", "resumes": "auto_resume_at_ms", "reason": "cancel_reason",
	"why": "expiration_reason", "new": "new_product_id", "user": "app_user_id", "family": "is_family_share", "kind": "period_type", "n": "renewal_number",
}

func (e told) raw(t *testing.T, number int) []byte {
	t.Helper()
	event := map[string]any{
		"id": fmt.Sprintf("event-%d", number), "type": string(e.kind), "event_timestamp_ms": day(e.at).UnixMilli(), "store": "APP_STORE",
		"environment": "PRODUCTION", "app_user_id": "ann", "period_type": "NORMAL", "original_transaction_id": "chain", "currency": "EUR",
		"price": 9.99, "price_in_purchased_currency": 9.5,
	}
	for _, pair := range strings.Fields(e.with) {
		key, value, _ := strings.Cut(pair, "=")
		name := key
		if long, ok := fieldNames[key]; ok {
			name = long
		}
		switch n, err := strconv.ParseFloat(value, 64); {
		case strings.HasSuffix(name, "_at_ms"):
			if value == "null" {
				event[name] = nil
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			event[name] = day(n).UnixMilli()
		case strings.HasPrefix(name, "transferred_"):
			event[name] = strings.Split(value, ",")
		case value == "true":
			event[name] = true
		case name == "quantity" || name == "renewal_number" || name == "price":
			event[name] = n
		default:
			event[name] = value
		}
	}
	user := event["app_user_id"].(string)
	event["aliases"] = []string{user, "$RCAnonymousID:of-" + user}
	raw, err := json.Marshal(map[string]any{"api_version": "1.0", "event": event})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// shelf is what the products of the flows bring.
var shelf = economy.Catalog{Packages: map[string]economy.Package{
	"monthly": {
		ID: "monthly", Products: map[economy.Store][]string{economy.AppStore: {"monthly"}, economy.PlayStore: {"monthly"}, "promotional": {"rc_promo"}},
		Accesses: []economy.PackageAccess{{Module: "premium"}}, Items: []economy.PackageItem{{Item: "chest", Quantity: 2}}, FamilyShare: true,
	},
	"yearly": {
		ID: "yearly", Products: map[economy.Store][]string{economy.AppStore: {"yearly"}, economy.PlayStore: {"yearly"}},
		Accesses: []economy.PackageAccess{{Module: "premium"}, {Module: "vault"}},
	},
	"week": {
		ID: "week", Products: map[economy.Store][]string{economy.AppStore: {"week"}},
		Accesses: []economy.PackageAccess{{Module: "arena", Lasts: economy.Lasts{For: 7 * 24 * time.Hour}}},
	},
	"gems": {
		ID: "gems", Products: map[economy.Store][]string{economy.AppStore: {"gems"}}, Consumable: true,
		Items: []economy.PackageItem{{Item: "ticket", Quantity: 3}},
	},
	"life": {
		ID: "life", Products: map[economy.Store][]string{economy.AppStore: {"life"}},
		Accesses: []economy.PackageAccess{{Module: "premium", Lasts: economy.Lasts{Forever: true}}}, Items: []economy.PackageItem{{Item: "skin", Quantity: 1}},
	},
}}

// known is everything that events left behind; the zero known is before the first.
type known struct {
	purchases map[economy.PurchaseKey]economy.Purchase
	transfers map[string]economy.Transfer
}

func (k *known) hear(t *testing.T, raw []byte) {
	t.Helper()
	event, err := webhooks.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := event.Facts()
	if err != nil {
		t.Fatal(err)
	}
	if f := facts.Purchase; f != nil {
		k.purchases[f.Key] = economy.Merge(k.purchases[f.Key], *f)
	}
	if facts.Transfer != nil {
		k.transfers[facts.Transfer.ID] = *facts.Transfer
	}
}

// holdings folds a customer: "premium until 30 (period); chest 2".
func (k *known) holdings(id string) string {
	customerOf := func(id string) string { return strings.TrimPrefix(id, "$RCAnonymousID:of-") }
	var transfers []economy.Transfer
	for _, transfer := range k.transfers {
		transfers = append(transfers, transfer)
	}
	var bought []economy.Bought
	for _, p := range k.purchases {
		bundle, _ := shelf.PackageOf(p.Key.Store, p.Product.Value)
		bought = append(bought, economy.Bought{
			Purchase: p, Package: bundle, CatalogVersion: 1, Counts: p.Key.Environment == economy.Production,
			Owner: economy.OwnerOf(p, transfers, customerOf) == id, Buyer: customerOf(p.Buyer.Value) == id,
		})
	}
	folded := economy.Fold(economy.NewCustomer([]string{id}), bought)
	var parts []string
	for _, a := range folded.Accesses {
		end := "ever"
		if !a.ExpiresAt.IsZero() {
			end = strconv.FormatFloat(a.ExpiresAt.Sub(day0).Hours()/24, 'g', 6, 64)
		}
		if a.State == economy.AccessRevoked {
			end += " revoked"
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", a.Module, end, a.Cause))
	}
	items := map[string]int64{}
	for _, g := range folded.Grants {
		if g.Kind == economy.GrantedItem {
			items[g.Name] += g.Quantity
		}
	}
	for _, item := range []string{"chest", "skin", "ticket"} {
		if items[item] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", item, items[item]))
		}
	}
	return strings.Join(parts, "; ")
}

const (
	first  = "tx=1 product=monthly bought=0 expires=30"
	second = "tx=2 product=monthly bought=30 expires=60"
)

var flows = []struct {
	name   string
	events []told
	want   map[string]string // what each customer holds at the end
}{
	{"bought and renewed", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Renewal, 30, second}, {webhooks.Renewal, 60, "tx=3 product=monthly bought=60 expires=90"},
	}, map[string]string{"ann": "premium 90 (period); chest 6"}},
	{"the store charges a day early", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Renewal, 29, second},
	}, map[string]string{"ann": "premium 60 (period); chest 4"}},
	{"trial, then paid", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0"},
		{webhooks.Renewal, 3, "tx=2 product=monthly bought=3 expires=33 is_trial_conversion=true"},
	}, map[string]string{"ann": "premium 33 (period); chest 2"}},
	{"trial, cancelled, ended", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0"},
		{webhooks.Cancellation, 1, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0 reason=UNSUBSCRIBE"},
		{webhooks.Expiration, 3, "tx=1 product=monthly bought=0 expires=3 kind=TRIAL price=0 why=UNSUBSCRIBE"},
	}, map[string]string{"ann": "premium 3 (period)"}},
	{"cancelled and taken up again", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Cancellation, 5, first + " reason=UNSUBSCRIBE price=0"},
		{webhooks.Uncancellation, 6, first + " price=0"}, {webhooks.Renewal, 30, second},
	}, map[string]string{"ann": "premium 60 (period); chest 4"}},
	{"refunded", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Renewal, 30, second},
		{webhooks.Cancellation, 40, second + " reason=CUSTOMER_SUPPORT price=-9.99"},
		{webhooks.Expiration, 40, "tx=2 product=monthly bought=30 expires=40 why=CUSTOMER_SUPPORT"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"refunded, and the refund taken back", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Cancellation, 4, first + " reason=CUSTOMER_SUPPORT price=-9.99"},
		{webhooks.Expiration, 4, "tx=1 product=monthly bought=0 expires=4 why=CUSTOMER_SUPPORT"}, {webhooks.RefundReversed, 9, first},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"refunded twice", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 product=life bought=0 expires=null"},
		{webhooks.Cancellation, 4, "tx=1 product=life bought=0 expires=null reason=CUSTOMER_SUPPORT price=-1"},
		{webhooks.RefundReversed, 9, "tx=1 product=life bought=0 expires=null"},
		{webhooks.Cancellation, 11, "tx=1 product=life bought=0 expires=null reason=CUSTOMER_SUPPORT price=-1"},
	}, map[string]string{"ann": "premium 11 revoked (refund)"}},
	{"billing failed, with grace, recovered", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 30, first + " grace=46"},
		{webhooks.Cancellation, 30, first + " reason=BILLING_ERROR price=0"}, {webhooks.Renewal, 40, "tx=2 product=monthly bought=40 expires=70"},
	}, map[string]string{"ann": "premium 70 (period); chest 4"}},
	{"billing failed, with grace, lost: three events at one time", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 30, first + " grace=46"},
		{webhooks.Cancellation, 30, first + " reason=BILLING_ERROR price=0"}, {webhooks.Expiration, 46, "tx=1 product=monthly bought=0 expires=46 why=BILLING_ERROR"},
	}, map[string]string{"ann": "premium 46 (grace); chest 2"}},
	{"in grace", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 30, first + " grace=46"},
	}, map[string]string{"ann": "premium 46 (grace); chest 2"}},
	{"bought and ended at one time", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.BillingIssue, 0, first + " grace=null"}, {webhooks.Expiration, 0, "tx=1 product=monthly bought=0 expires=0 why=BILLING_ERROR"},
	}, map[string]string{"ann": "premium 0 (expired); chest 2"}},
	{"paused and resumed", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.SubscriptionPaused, 10, first + " resumes=60"},
		{webhooks.Expiration, 30, first + " why=SUBSCRIPTION_PAUSED"}, {webhooks.Renewal, 60, "tx=2 product=monthly bought=60 expires=90"},
	}, map[string]string{"ann": "premium 90 (period); chest 4"}},
	{"paused", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.SubscriptionPaused, 10, first + " resumes=60"}, {webhooks.Expiration, 30, first + " why=SUBSCRIPTION_PAUSED"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"extended", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.SubscriptionExtended, 10, "tx=1 product=monthly bought=0 expires=37"},
	}, map[string]string{"ann": "premium 37 (period); chest 2"}},
	{"upgraded at once", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=yearly bought=0 expires=365"}, {webhooks.ProductChange, 10, "tx=1 product=yearly bought=0 expires=365 new=monthly"},
		{webhooks.Renewal, 10, "tx=2 product=monthly bought=10 expires=40"},
	}, map[string]string{"ann": "premium 40 (period); vault 10 (product_change); chest 2"}},
	{"downgraded at the end of the period", []told{
		{webhooks.InitialPurchase, 0, "tx=1 product=yearly bought=0 expires=365"}, {webhooks.ProductChange, 10, "tx=1 product=yearly new=monthly"},
		{webhooks.Renewal, 365, "tx=2 product=monthly bought=365 expires=395"},
	}, map[string]string{"ann": "premium 395 (period); vault 365 (period); chest 2"}},
	{"a change asked for and not in effect", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.ProductChange, 10, first + " new=yearly"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"google changes at once: another chain, and the old one ends", []told{
		{webhooks.InitialPurchase, 0, "store=PLAY_STORE original=g1 tx=g1 product=yearly bought=0 expires=365"},
		{webhooks.ProductChange, 10, "store=PLAY_STORE original=g1 tx=g1 product=yearly"},
		{webhooks.InitialPurchase, 10, "store=PLAY_STORE original=g2 tx=g2 product=monthly:base bought=10 expires=40"},
		{webhooks.Expiration, 10, "store=PLAY_STORE original=g1 tx=g1 product=yearly bought=0 expires=10 why=UNSUBSCRIBE"},
	}, map[string]string{"ann": "premium 40 (period); vault 10 (expired); chest 2"}},
	{"came back after the end", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Expiration, 30, first + " why=UNSUBSCRIBE"}, {webhooks.Renewal, 50, "tx=2 product=monthly bought=50 expires=80"},
	}, map[string]string{"ann": "premium 80 (period); chest 4"}},
	{"a week, and another before it is over", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=week bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 3, "tx=2 original=2 product=week bought=3 expires=null"},
		{webhooks.NonRenewingPurchase, 10, "tx=3 original=3 product=week bought=10 expires=null quantity=2"},
	}, map[string]string{"ann": "arena 28 (duration)"}},
	{"a week, and another after a while", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=week bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 20, "tx=2 original=2 product=week bought=20 expires=null"},
	}, map[string]string{"ann": "arena 27 (duration)"}},
	{"bought by the old owner after the transfer", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Transfer, 5, "transferred_from=ann transferred_to=bob"},
		{webhooks.NonRenewingPurchase, 6, "tx=7 original=7 product=week bought=6 expires=null"},
	}, map[string]string{"ann": "arena 13 (duration)", "bob": "premium 30 (period); chest 2"}},
	{"a week that is refunded no longer carries the next", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=week bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 3, "tx=2 original=2 product=week bought=3 expires=null"},
		{webhooks.Cancellation, 4, "tx=1 original=1 product=week bought=0 expires=null reason=CUSTOMER_SUPPORT price=-1"},
	}, map[string]string{"ann": "arena 10 (duration)"}},
	{"three at once", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=gems bought=0 expires=null quantity=3"},
	}, map[string]string{"ann": "ticket 9"}},
	{"transferred, and renewed by the new owner", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.NonRenewingPurchase, 1, "tx=9 original=9 product=life bought=1 expires=null"},
		{webhooks.Transfer, 10, "transferred_from=ann transferred_to=bob"}, {webhooks.Renewal, 30, second + " user=bob"},
	}, map[string]string{"ann": "", "bob": "premium ever (forever); chest 4; skin 1"}},
	{"transferred: what is used up stays", []told{
		{webhooks.NonRenewingPurchase, 0, "tx=1 original=1 product=gems bought=0 expires=null"}, {webhooks.NonRenewingPurchase, 0, "tx=2 original=2 product=life bought=0 expires=null"},
		{webhooks.Transfer, 10, "transferred_from=ann,$RCAnonymousID:of-ann transferred_to=$RCAnonymousID:of-bob"},
	}, map[string]string{"ann": "ticket 3", "bob": "premium ever (forever); skin 1"}},
	{"transferred there and back, and bought again in between", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Transfer, 5, "transferred_from=ann transferred_to=bob"},
		{webhooks.NonRenewingPurchase, 6, "tx=7 original=7 product=week bought=6 expires=null"}, {webhooks.Transfer, 8, "transferred_from=bob transferred_to=ann"},
		{webhooks.Transfer, 9, "transferred_from=ann transferred_to=cid store=PLAY_STORE"},
	}, map[string]string{"ann": "arena 13 (duration); premium 30 (period); chest 2", "bob": "", "cid": ""}},
	{"refunded after a transfer", []told{
		{webhooks.InitialPurchase, 0, first}, {webhooks.Transfer, 5, "transferred_from=ann transferred_to=bob"},
		{webhooks.Cancellation, 7, first + " reason=CUSTOMER_SUPPORT price=-9.99 user=bob"},
	}, map[string]string{"ann": "", "bob": "premium 7 revoked (refund)"}},
	{"shared in the family", []told{
		{webhooks.InitialPurchase, 0, first + " family=true"}, {webhooks.Renewal, 30, second + " family=true"},
	}, map[string]string{"ann": "premium 60 (period)"}},
	{"given from the dashboard, and taken back", []told{
		{webhooks.NonRenewingPurchase, 0, "store=PROMOTIONAL tx=1 product=rc_promo bought=0 expires=30 kind=PROMOTIONAL"},
		{webhooks.Cancellation, 5, "store=PROMOTIONAL tx=1 product=rc_promo bought=0 expires=30 kind=PROMOTIONAL reason=DEVELOPER_INITIATED price=0"},
	}, map[string]string{"ann": "premium 5 (expired)"}},
	{"on credit, then bought", []told{
		{webhooks.TemporaryGrant, 0, "product=monthly tx=x expires=20"}, {webhooks.InitialPurchase, 0.1, "tx=1 product=monthly bought=0 expires=30"},
	}, map[string]string{"ann": "premium 30 (period); chest 2"}},
	{"on credit, a day at most", []told{
		{webhooks.TemporaryGrant, 0, "product=monthly tx=x expires=20"},
	}, map[string]string{"ann": "premium 1 (temporary)"}},
	{"in the sandbox", []told{
		{webhooks.InitialPurchase, 0, first + " environment=SANDBOX"}, {webhooks.Renewal, 30, second + " environment=SANDBOX"},
	}, map[string]string{"ann": ""}},
	{"a test from the dashboard", []told{
		{webhooks.Test, 0, first}, {webhooks.InvoiceIssuance, 0, first}, {"SOMETHING_NEW", 0, first},
	}, map[string]string{"ann": ""}},
}

// The flows are written down for those who tell them through the tables
// (consumers/access).
func TestTheFlowsAreWrittenDown(t *testing.T) {
	t.Parallel()
	type flow struct {
		Name   string            `json:"name"`
		Events []json.RawMessage `json:"events"`
		Want   map[string]string `json:"want"`
	}
	catalog, err := economy.CatalogJSON(shelf)
	if err != nil {
		t.Fatal(err)
	}
	file := struct {
		Day0    time.Time       `json:"day0"`
		Catalog json.RawMessage `json:"catalog"`
		Flows   []flow          `json:"flows"`
	}{Day0: day0, Catalog: catalog}
	for _, f := range flows {
		written := flow{Name: f.name, Want: f.want}
		for i, event := range f.events {
			written.Events = append(written.Events, event.raw(t, i))
		}
		file.Flows = append(file.Flows, written)
	}
	got, err := json.MarshalIndent(file, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	testenv.Golden(t, "testdata/flows.golden", append(got, '\n'))
}

// ordersMax bounds the orders of a flow; up to six events are all tried.
const ordersMax = 720

func TestEveryDocumentedFlowEndsTheSameInEveryOrder(t *testing.T) {
	t.Parallel()
	for _, flow := range flows {
		t.Run(flow.name, func(t *testing.T) {
			t.Parallel()
			raw := make([][]byte, len(flow.events))
			for i, event := range flow.events {
				raw[i] = event.raw(t, i)
			}
			random := rand.New(rand.NewPCG(1, uint64(len(raw))))
			var reference *known
			for order := range orders(len(raw)) {
				k := &known{map[economy.PurchaseKey]economy.Purchase{}, map[string]economy.Transfer{}}
				for _, i := range order {
					k.hear(t, raw[i])
					k.hear(t, raw[order[random.IntN(len(order))]]) // one of them again, or too early
				}
				if reference == nil {
					reference = k
					for id, want := range flow.want {
						if got := k.holdings(id); got != want {
							t.Fatalf("%s holds %q, want %q", id, got, want)
						}
					}
				}
				if !reflect.DeepEqual(k, reference) {
					t.Fatalf("order %v: ends as\n%+v\nwant\n%+v", order, k, reference)
				}
				for id, want := range flow.want {
					if got := k.holdings(id); got != want {
						t.Fatalf("order %v: %s holds %q, want %q", order, id, got, want)
					}
				}
			}
		})
	}
}

// orders yields every order of n things, as many as ordersMax.
func orders(n int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		for range ordersMax {
			if !yield(slices.Clone(order)) || !next(order) {
				return
			}
		}
	}
}

// next makes the next order in lexical sequence, false after the last.
func next(order []int) bool {
	i := len(order) - 2
	for i >= 0 && order[i] > order[i+1] {
		i--
	}
	if i < 0 {
		return false
	}
	j := len(order) - 1
	for order[j] < order[i] {
		j--
	}
	order[i], order[j] = order[j], order[i]
	slices.Reverse(order[i+1:])
	return true
}
