package simulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// event is one event that webhooks tell of: the same bytes in every attempt.
type event struct {
	ID   string
	Type string
	At   time.Time
	Body []byte
}

// told is what events say of one transaction.
type told struct {
	owner                                              string
	store, environment, product, transaction, original string
	at                                                 time.Time
	expiresAt                                          time.Time // zero: null
	price                                              float64
	name                                               string
	periodType                                         string
	family                                             bool
	quantity, renewal                                  int64 // 0: not said
}

func (h *happening) aboutSale(v sale) told {
	p := h.sim.products[v.Product]
	t := told{
		owner: v.Customer, store: v.Store, environment: v.Environment, product: v.SKU, transaction: v.StoreID, original: v.StoreID, at: v.PurchasedAt,
		price: p.Price * float64(v.Quantity), name: p.Name, periodType: "NORMAL", family: v.Family,
	}
	if v.Quantity > 1 { // the provider says it of some projects only, and of one-time purchases only
		t.quantity = v.Quantity
	}
	return t
}

func (h *happening) aboutPeriod(v subscription, at int) told {
	p := v.Periods[at]
	product := h.sim.products[p.Product]
	t := told{
		owner: v.Customer, store: v.Store, environment: v.Environment, product: p.SKU, transaction: p.StoreID, original: v.Periods[0].StoreID, at: p.PurchasedAt,
		expiresAt: p.ExpiresAt, price: product.Price, name: product.Name, periodType: "NORMAL", family: v.Family, renewal: int64(at) + 1,
	}
	if p.Trial {
		t.price, t.periodType = 0, "TRIAL"
	}
	return t
}

// say changes the members of an event.
type say func(members map[string]any)

// with says one thing more, or another.
func with(name string, value any) say {
	return func(members map[string]any) { members[name] = value }
}

// priced says what was paid: 1 the price, 0 nothing, -1 that it was paid back.
func priced(sign float64) say {
	return func(members map[string]any) {
		for _, name := range []string{"price", "price_in_purchased_currency"} {
			members[name] = members[name].(float64) * sign
		}
	}
}

// tell adds an event of a transaction, with the members of the provider's samples.
func (h *happening) tell(kind string, t told, says ...say) {
	var expires any
	if !t.expiresAt.IsZero() {
		expires = t.expiresAt.UnixMilli()
	}
	members := map[string]any{
		"commission_percentage": 0.3, "currency": "USD", "entitlement_id": nil, "entitlement_ids": nil, "environment": strings.ToUpper(t.environment),
		"experiments": []any{}, "expiration_at_ms": expires, "is_family_share": t.family, "offer_code": nil, "original_transaction_id": t.original,
		"period_type": t.periodType, "presented_offering_id": nil, "price": t.price, "price_in_purchased_currency": t.price,
		"purchased_at_ms": t.at.UnixMilli(), "takehome_percentage": 0.7, "tax_percentage": 0.0,
	}
	if t.quantity > 0 && kind == "NON_RENEWING_PURCHASE" {
		members["quantity"] = t.quantity
	}
	if t.renewal > 0 && (kind == "RENEWAL" || kind == "REFUND_REVERSED" || t.store == stripeStore) {
		members["renewal_number"] = t.renewal
	}
	for _, says := range says {
		says(members)
	}
	h.add(kind, h.ofTransaction(t, t.owner, members))
}

// tellMove adds the event of a change of balances. before are the balances that it changed.
func (h *happening) tellMove(t told, m move, before economy.Amounts) {
	var adjustments []any
	for _, code := range m.Amounts.Currencies() {
		adjustments = append(adjustments, map[string]any{
			"amount": m.Amounts[code], "currency": map[string]any{"code": code, "name": h.sim.currencies[code], "description": ""},
		})
	}
	members := map[string]any{
		"adjustments": adjustments, "product_display_name": t.name, "purchase_environment": strings.ToUpper(t.environment),
		"source": "in_app_purchase", "virtual_currency_transaction_id": m.ID,
	}
	if codes := m.Amounts.Currencies(); len(codes) == 1 {
		members["updated_balance"] = before[codes[0]] + m.Amounts[codes[0]]
	}
	members = h.ofTransaction(t, m.Customer, members)
	delete(members, "original_app_user_id")
	h.add("VIRTUAL_CURRENCY_TRANSACTION", members)
}

// ofTransaction adds the members that every event of a transaction has.
func (h *happening) ofTransaction(t told, player string, members map[string]any) map[string]any {
	ids := h.sim.books.ids(player)
	maps.Copy(members, map[string]any{
		"aliases": ids, "app_user_id": player, "original_app_user_id": ids[0], "subscriber_attributes": map[string]any{},
		"app_id": appID(t.store), "country_code": country, "product_id": t.product, "store": strings.ToUpper(t.store), "transaction_id": t.transaction,
	})
	return members
}

func (h *happening) tellTransfer(store, environment string, from, to []string) {
	h.add("TRANSFER", map[string]any{
		"app_id": appID(store), "store": strings.ToUpper(store), "environment": strings.ToUpper(environment),
		"transferred_from": slices.Clone(from), "transferred_to": slices.Clone(to),
	})
}

func (h *happening) add(kind string, members map[string]any) {
	n := h.number()
	e := event{ID: fmt.Sprintf("%08X-%04X-%s", n>>16, n&0xffff, fingerprint(kind, fmt.Append(nil, n))[:12]), Type: kind, At: h.at}
	members["id"], members["type"], members["event_timestamp_ms"] = e.ID, kind, h.at.UnixMilli()
	body, err := json.Marshal(map[string]any{"api_version": "1.0", "event": members})
	if err != nil {
		panic("simulator: an event did not marshal: " + err.Error())
	}
	e.Body = body
	h.events = append(h.events, e)
}
