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
