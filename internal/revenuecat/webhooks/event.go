package webhooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Type is an event's type as the provider names it. The set is open.
type Type string

// The types we know.
const (
	Test                     Type = "TEST"
	InitialPurchase          Type = "INITIAL_PURCHASE"
	Renewal                  Type = "RENEWAL"
	NonRenewingPurchase      Type = "NON_RENEWING_PURCHASE"
	Cancellation             Type = "CANCELLATION"
	Uncancellation           Type = "UNCANCELLATION"
	BillingIssue             Type = "BILLING_ISSUE"
	SubscriptionPaused       Type = "SUBSCRIPTION_PAUSED"
	SubscriptionExtended     Type = "SUBSCRIPTION_EXTENDED"
	Expiration               Type = "EXPIRATION"
	ProductChange            Type = "PRODUCT_CHANGE"
	RefundReversed           Type = "REFUND_REVERSED"
	Transfer                 Type = "TRANSFER"
	SubscriberAlias          Type = "SUBSCRIBER_ALIAS"
	PurchaseRedeemed         Type = "PURCHASE_REDEEMED"
	TemporaryGrant           Type = "TEMPORARY_ENTITLEMENT_GRANT"
	InvoiceIssuance          Type = "INVOICE_ISSUANCE"
	CurrencyTransaction      Type = "VIRTUAL_CURRENCY_TRANSACTION"
	ExperimentEnrollment     Type = "EXPERIMENT_ENROLLMENT"
	PriceIncreaseRequired    Type = "PRICE_INCREASE_CONSENT_REQUIRED"
	PriceIncreaseApproved    Type = "PRICE_INCREASE_CONSENT_APPROVED"
	PaywallImpression        Type = "PAYWALL_IMPRESSION"
	PaywallClose             Type = "PAYWALL_CLOSE"
	PaywallCancel            Type = "PAYWALL_CANCEL"
	PaywallExitOffer         Type = "PAYWALL_EXIT_OFFER"
	PaywallComponentInteract Type = "PAYWALL_COMPONENT_INTERACTED"
)

// Route says who acts on an event.
type Route int

// The routes.
const (
	RouteNobody    Route = iota // kept and counted, nothing follows
	RoutePurchases              // facts about purchases or customers: see Facts
	RouteCurrency               // a movement of balances: see Facts
)

var routes = map[Type]Route{
	InitialPurchase: RoutePurchases, Renewal: RoutePurchases, NonRenewingPurchase: RoutePurchases, Cancellation: RoutePurchases,
	Uncancellation: RoutePurchases, BillingIssue: RoutePurchases, SubscriptionPaused: RoutePurchases, SubscriptionExtended: RoutePurchases,
	Expiration: RoutePurchases, ProductChange: RoutePurchases, RefundReversed: RoutePurchases, Transfer: RoutePurchases,
	SubscriberAlias: RoutePurchases, PurchaseRedeemed: RoutePurchases, TemporaryGrant: RoutePurchases,
	CurrencyTransaction: RouteCurrency,
	Test:                RouteNobody, InvoiceIssuance: RouteNobody, ExperimentEnrollment: RouteNobody,
	PriceIncreaseRequired: RouteNobody, PriceIncreaseApproved: RouteNobody, PaywallImpression: RouteNobody, PaywallClose: RouteNobody,
	PaywallCancel: RouteNobody, PaywallExitOffer: RouteNobody, PaywallComponentInteract: RouteNobody,
}

// Known reports whether we know the type. What we do not know is kept.
func (t Type) Known() bool { _, known := routes[t]; return known }

// Event is the head of a webhook's event: enough to keep it and to say who acts.
type Event struct {
	ID          string    // the same in every retry
	Type        Type      // unknown ones included
	At          time.Time // event_timestamp_ms; zero: it has none
	Environment string    // in lower case; empty: it says none
	AppUserID   string    // whom it is about, the first id it names; empty: it names nobody
	Named       []string  // every id it names, of both sides of a transfer

	raw json.RawMessage // the whole event
}

// ErrUndecodable says that bytes are no event of the provider's. Trying again
// cannot help.
var ErrUndecodable = errors.New("not an event of the provider")

// Parse reads a webhook's body, {"api_version","event"}, as far as every event has
// it: an id, a type. Errors wrap ErrUndecodable.
func Parse(raw []byte) (Event, error) {
	var body struct {
		Event json.RawMessage `json:"event"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	var head struct {
		ID                  text   `json:"id"`
		Type                text   `json:"type"`
		At                  millis `json:"event_timestamp_ms"`
		Environment         text   `json:"environment"`
		PurchaseEnvironment text   `json:"purchase_environment"`
		AppUserID           text   `json:"app_user_id"`
		OriginalAppUserID   text   `json:"original_app_user_id"`
		TransferredTo       texts  `json:"transferred_to"`
		RedeemedBy          texts  `json:"redeemed_by"`
		Aliases             texts  `json:"aliases"`
		TransferredFrom     texts  `json:"transferred_from"`
		RedeemedFrom        texts  `json:"redeemed_from"`
	}
	if len(body.Event) == 0 || body.Event[0] != '{' {
		return Event{}, fmt.Errorf("%w: it has no event", ErrUndecodable)
	}
	if err := json.Unmarshal(body.Event, &head); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if head.ID == "" || len(head.ID) > idMax || head.Type == "" || len(head.Type) > idMax {
		return Event{}, fmt.Errorf("%w: id or type is missing or too long", ErrUndecodable)
	}
	environment := strings.ToLower(string(head.Environment))
	if environment == "" {
		environment = strings.ToLower(string(head.PurchaseEnvironment))
	}
	event := Event{ID: string(head.ID), Type: Type(head.Type), At: head.At.time(), Environment: environment, raw: body.Event}
	for _, ids := range []texts{{head.AppUserID}, {head.OriginalAppUserID}, head.TransferredTo, head.RedeemedBy, head.Aliases} {
		event.Named = append(event.Named, ids.named()...)
	}
	if len(event.Named) > 0 {
		event.AppUserID = event.Named[0]
	}
	event.Named = append(event.Named, slices.Concat(head.TransferredFrom.named(), head.RedeemedFrom.named())...)
	return event, nil
}

// idMax keeps ids and types readable in keys and logs.
const idMax = 255

// Route says who acts on the event.
func (e Event) Route() Route { return routes[e.Type] }

// text is a string that may come as a bare number, or as null.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	switch {
	case bytes.Equal(raw, []byte("null")):
		return nil
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		*t = text(s)
		return err
	}
	var n json.Number
	if err := json.Unmarshal(raw, &n); err != nil {
		return errors.New("neither text nor number")
	}
	*t = text(n)
	return nil
}

type texts []text

// named returns those that are not empty.
func (t texts) named() []string {
	var out []string
	for _, s := range t {
		if s != "" {
			out = append(out, string(s))
		}
	}
	return out
}

// millis is a time in milliseconds since 1970; 0 and null are none.
type millis int64

func (m *millis) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var f float64 // integers up to 2^53 are exact
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	if f != float64(int64(f)) || f < 0 || f > 1e14 {
		return fmt.Errorf("%v is not a time in milliseconds", f)
	}
	*m = millis(f)
	return nil
}

func (m millis) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}
