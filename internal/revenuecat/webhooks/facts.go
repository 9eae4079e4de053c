package webhooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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

// movement: without adjustments it would change nothing in silence.
func (e Event) movement(p payload) (*economy.Movement, error) {
	if len(p.Adjustments) == 0 {
		return nil, errors.New("adjustments are missing")
	}
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
