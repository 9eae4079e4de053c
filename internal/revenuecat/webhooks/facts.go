package webhooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Facts is what an event says in our words. It may say several things, or nothing.
type Facts struct {
	Purchase *economy.PurchaseFact
	Aliases  [][]string // each: ids of one customer
	Transfer *economy.Transfer
	Movement *economy.Movement
	Resync   []string // ids whose customers the event says too little about: read them again
}

// The reasons of a cancellation and of an expiration that we act on.
const (
	reasonRefund       = "CUSTOMER_SUPPORT"
	reasonBillingError = "BILLING_ERROR"
)

// payload is everything of an event that any fact is made of.
type payload struct {
	AppUserID         text  `json:"app_user_id"`
	OriginalAppUserID text  `json:"original_app_user_id"`
	Aliases           texts `json:"aliases"`

	Store                 text        `json:"store"`
	Environment           text        `json:"environment"`
	PurchaseEnvironment   text        `json:"purchase_environment"`
	TransactionID         text        `json:"transaction_id"`
	OriginalTransactionID text        `json:"original_transaction_id"`
	ProductID             text        `json:"product_id"`
	NewProductID          text        `json:"new_product_id"`
	PeriodType            text        `json:"period_type"`
	PurchasedAt           millis      `json:"purchased_at_ms"`
	ExpirationAt          millis      `json:"expiration_at_ms"`
	GraceUntil            millis      `json:"grace_period_expiration_at_ms"`
	ResumesAt             millis      `json:"auto_resume_at_ms"`
	FamilyShare           *bool       `json:"is_family_share"`
	Quantity              *int64      `json:"quantity"`
	RenewalNumber         *int64      `json:"renewal_number"`
	Currency              text        `json:"currency"`
	PriceUSD              json.Number `json:"price"`
	Price                 json.Number `json:"price_in_purchased_currency"`
	CancelReason          text        `json:"cancel_reason"`
	ExpirationReason      text        `json:"expiration_reason"`

	TransferredFrom texts `json:"transferred_from"`
	TransferredTo   texts `json:"transferred_to"`
	RedeemedFrom    texts `json:"redeemed_from"`
	RedeemedBy      texts `json:"redeemed_by"`

	Adjustments    []adjustment `json:"adjustments"`
	MovementID     text         `json:"virtual_currency_transaction_id"`
	Source         text         `json:"source"`
	UpdatedBalance *int64       `json:"updated_balance"`
}

type adjustment struct {
	Amount   int64 `json:"amount"`
	Currency struct {
		Code string `json:"code"`
	} `json:"currency"`
}

// Facts returns what the event says. An event of RouteNobody says nothing. Errors
// wrap ErrUndecodable: the event should change something and lacks what it takes.
func (e Event) Facts() (Facts, error) {
	if e.Route() == RouteNobody {
		return Facts{}, nil
	}
	var p payload
	if err := json.Unmarshal(e.raw, &p); err != nil {
		return Facts{}, fmt.Errorf("%s %s: %w: %w", e.Type, e.ID, ErrUndecodable, err)
	}
	facts, err := e.facts(p)
	if err == nil && facts.Purchase != nil {
		err = facts.Purchase.Validate()
	}
	if err != nil {
		return Facts{}, fmt.Errorf("%s %s: %w: %w", e.Type, e.ID, ErrUndecodable, err)
	}
	return facts, nil
}

func (e Event) facts(p payload) (Facts, error) {
	if e.At.IsZero() {
		return Facts{}, errors.New("event_timestamp_ms is missing")
	}
	switch e.Type {
	case CurrencyTransaction:
		movement, err := e.movement(p)
		return Facts{Movement: movement}, err
	case Transfer:
		return e.transfer(p)
	case SubscriberAlias:
		return Facts{Aliases: p.sameCustomer()}, nil
	case PurchaseRedeemed:
		return Facts{Resync: slices.Concat(first(p.RedeemedBy), first(p.RedeemedFrom)), Aliases: groups(p.RedeemedBy, p.RedeemedFrom)}, nil
	case TemporaryGrant:
		return Facts{Purchase: e.temporary(p), Aliases: p.sameCustomer(), Resync: []string{e.AppUserID}}, nil
	default:
		fact, err := e.purchase(p)
		facts := Facts{Purchase: fact, Aliases: p.sameCustomer()}
		if err == nil && (e.Type == InitialPurchase || e.Type == Renewal) && p.ExpirationAt == 0 {
			facts.Resync = []string{e.AppUserID} // a subscription must end at some time
		}
		return facts, err
	}
}

// sameCustomer returns the ids an event's identity names, as one group.
func (p payload) sameCustomer() [][]string {
	return groups(append(texts{p.AppUserID, p.OriginalAppUserID}, p.Aliases...))
}

// groups returns the lists that link two ids or more.
func groups(lists ...texts) [][]string {
	var out [][]string
	for _, list := range lists {
		ids := list.named()
		slices.Sort(ids)
		if ids = slices.Compact(ids); len(ids) > 1 {
			out = append(out, ids)
		}
	}
	return out
}

func first(list texts) []string {
	named := list.named()
	return named[:min(1, len(named))]
}

// transfer: the event names customers, no purchases. What it moves is everything of
// its store and environment; what that is, a resync of both sides tells.
func (e Event) transfer(p payload) (Facts, error) {
	from, to := p.TransferredFrom.named(), p.TransferredTo.named()
	if len(from) == 0 || len(to) == 0 {
		return Facts{}, errors.New("transferred_from or transferred_to is empty")
	}
	return Facts{
		Transfer: &economy.Transfer{
			ID: e.ID, At: e.At, Store: economy.NormalStore(string(p.Store)), Environment: economy.Environment(e.Environment), From: from, To: to,
		},
		Aliases: groups(p.TransferredFrom, p.TransferredTo),
		Resync:  []string{from[0], to[0]},
	}, nil
}

func (e Event) movement(p payload) (*economy.Movement, error) {
	m := &economy.Movement{
		ID: string(p.MovementID), AppUserID: e.AppUserID, Environment: economy.Environment(e.Environment), Source: string(p.Source),
		Store: economy.NormalStore(string(p.Store)), ProductID: string(p.ProductID), TransactionID: string(p.TransactionID),
		Adjustments: economy.Amounts{}, At: e.At,
	}
	for _, a := range p.Adjustments {
		m.Adjustments[economy.Currency(a.Currency.Code)] += economy.Amount(a.Amount)
	}
	if p.UpdatedBalance != nil && len(m.Adjustments) == 1 {
		m.Balance = new(economy.Amount(*p.UpdatedBalance))
	}
	return m, m.Validate()
}

// temporary: the store cannot be asked, so the transaction's own id is not known
// yet. It is kept under the event's, and only if it says what it is of.
func (e Event) temporary(p payload) *economy.PurchaseFact {
	if p.ProductID == "" || e.Environment == "" {
		return nil
	}
	fact := e.about(p, economy.FactBought)
	fact.Key.TransactionID = "temporary:" + e.ID
	fact.Period, fact.Original = economy.PeriodTemporary, ""
	if fact.PurchasedAt.IsZero() {
		fact.PurchasedAt = e.At
	}
	return &fact
}

// about returns what every event of a purchase says of it.
func (e Event) about(p payload, kind economy.FactKind) economy.PurchaseFact {
	store := economy.NormalStore(string(p.Store))
	fact := economy.PurchaseFact{
		Key: economy.PurchaseKey{
			Store: store, Environment: economy.Environment(e.Environment),
			TransactionID: economy.TransactionID(store, string(p.TransactionID), deref(p.RenewalNumber)),
		},
		Source: economy.FromWebhook, Kind: kind, At: e.At, By: e.ID,
		AppUserID: e.AppUserID, Product: string(p.ProductID), Original: string(p.OriginalTransactionID),
		PurchasedAt: p.PurchasedAt.time(), Period: periods[p.PeriodType], Renewal: deref(p.RenewalNumber), Quantity: deref(p.Quantity),
	}
	if p.FamilyShare != nil {
		fact.Ownership = economy.OwnershipPurchased
		if *p.FamilyShare {
			fact.Ownership = economy.OwnershipFamily
		}
	}
	if p.ExpirationAt != 0 {
		fact.ExpiresAt = new(p.ExpirationAt.time())
	}
	return fact
}

var periods = map[text]economy.Period{
	"TRIAL": economy.PeriodTrial, "INTRO": economy.PeriodIntro, "NORMAL": economy.PeriodNormal,
	"PROMOTIONAL": economy.PeriodPromotional, "PREPAID": economy.PeriodPrepaid,
}

// purchase returns the fact of an event about one transaction.
func (e Event) purchase(p payload) (*economy.PurchaseFact, error) {
	fact := e.about(p, economy.FactChanged)
	alive := new(time.Time{})
	switch e.Type {
	case InitialPurchase, Renewal, NonRenewingPurchase:
		fact.Kind, fact.EndedAt, fact.Intent = economy.FactBought, alive, &economy.Intent{Code: economy.IntentRenew}
		if e.Type == NonRenewingPurchase {
			fact.Intent = nil
			if fact.ExpiresAt == nil {
				fact.ExpiresAt = new(time.Time{}) // null: not a subscription, or for life
			}
		}
		if err := e.prices(p, &fact); err != nil {
			return nil, err
		}
	case Cancellation:
		e.cancelled(p, &fact)
	case Uncancellation:
		fact.EndedAt, fact.Intent = alive, &economy.Intent{Code: economy.IntentRenew}
	case BillingIssue:
		fact.GraceUntil, fact.Intent = new(p.GraceUntil.time()), &economy.Intent{Code: economy.IntentBillingIssue}
	case SubscriptionPaused:
		fact.Intent = &economy.Intent{Code: economy.IntentPaused, Resumes: p.ResumesAt.time()}
	case SubscriptionExtended:
		fact.Kind, fact.EndedAt = economy.FactExtended, alive
	case Expiration:
		e.expired(p, &fact)
	case RefundReversed:
		fact.Kind, fact.EndedAt, fact.Refund = economy.FactReversed, alive, &economy.Refund{Reversed: true}
	case ProductChange:
		// It may name the transaction of the one product and the id of the other, and is
		// not in effect yet: the RENEWAL or INITIAL_PURCHASE beside it is.
		intent := &economy.Intent{Code: economy.IntentProductChange, Detail: string(p.NewProductID)}
		fact = economy.PurchaseFact{
			Key: fact.Key, Source: fact.Source, Kind: fact.Kind, At: fact.At, By: fact.By, AppUserID: fact.AppUserID, Intent: intent,
		}
		return &fact, nil
	default:
		return nil, fmt.Errorf("no rule for type %s", e.Type)
	}
	if fact.Product == "" || fact.PurchasedAt.IsZero() || fact.AppUserID == "" {
		return nil, errors.New("product_id, purchased_at_ms or app_user_id is missing")
	}
	return &fact, nil
}

// cancelled: most cancellations only say that no further period comes. The money
// back is one, too, and so is the end of what was given for nothing.
func (e Event) cancelled(p payload, fact *economy.PurchaseFact) {
	fact.Intent = &economy.Intent{Code: economy.IntentCancelled, Detail: string(p.CancelReason)}
	switch {
	case p.CancelReason == reasonRefund || negative(p.PriceUSD) || negative(p.Price):
		fact.Kind, fact.Refund, fact.ExpiresAt = economy.FactRefunded, &economy.Refund{At: e.At}, nil
	case fact.Key.Store == economy.PromotionalStore:
		fact.Kind, fact.EndedAt, fact.ExpiresAt = economy.FactExpired, new(e.At), nil
	case p.CancelReason == reasonBillingError:
		fact.Intent.Code = economy.IntentBillingIssue
	}
}

// expired: the period as sold stays on record, so that a refund taken back finds it.
func (e Event) expired(p payload, fact *economy.PurchaseFact) {
	fact.Kind, fact.EndedAt, fact.ExpiresAt = economy.FactExpired, new(e.At), nil
	if p.ExpirationAt != 0 {
		fact.EndedAt = new(p.ExpirationAt.time())
	}
	if p.ExpirationReason == reasonRefund {
		fact.Kind, fact.Refund = economy.FactRefunded, &economy.Refund{At: e.At}
	}
}

// prices are kept of what was bought: other events carry 0, or the refund.
func (e Event) prices(p payload, fact *economy.PurchaseFact) error {
	if p.PriceUSD != "" {
		usd, err := micros(p.PriceUSD)
		if err != nil {
			return err
		}
		fact.PaidUSD = new(usd)
	}
	if p.Price != "" && p.Currency != "" {
		paid, err := micros(p.Price)
		if err != nil {
			return err
		}
		fact.Paid = &economy.Price{Currency: string(p.Currency), Micros: paid}
	}
	return nil
}

func deref(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
