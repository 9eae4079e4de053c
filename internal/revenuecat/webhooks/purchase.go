package webhooks

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// The reasons of a cancellation and of an expiration that we act on.
const (
	reasonRefund       = "CUSTOMER_SUPPORT"
	reasonBillingError = "BILLING_ERROR"
)

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
