package resync

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// teller turns what the API says into facts, as docs/purchases.md lists them. It is
// pure.
type teller struct {
	at time.Time // of its facts: the start of the reading, less what the API may lag
}

func (t teller) fact(store economy.Store, environment economy.Environment, transactionID string) economy.PurchaseFact {
	return economy.PurchaseFact{
		Key:    economy.PurchaseKey{Store: store, Environment: environment, TransactionID: transactionID},
		Source: economy.FromResync, Kind: economy.FactSnapshot, At: t.at, By: Spec.Name,
	}
}

// sale is the fact of a one-time purchase. When a refund was is not told: as of the
// reading.
func (t teller) sale(p revenuecat.Purchase, product string) economy.PurchaseFact {
	fact := t.fact(p.Store, p.Environment, p.StoreID)
	fact.AppUserID, fact.Buyer, fact.Product = p.CustomerID, p.OriginalCustomerID, product
	fact.PurchasedAt, fact.Quantity, fact.Ownership = p.PurchasedAt, p.Quantity, p.Ownership
	if p.Store != economy.PromotionalStore { // what was given from the dashboard ends at some time, which is not told here
		fact.ExpiresAt = &time.Time{}
	}
	switch p.Status {
	case revenuecat.PurchaseOwned:
		fact.Refund = &economy.Refund{}
	case revenuecat.PurchaseRefunded:
		fact.Refund = &economy.Refund{At: t.at}
	}
	return fact
}

// periods are the facts of a subscription's periods, in any order.
func (t teller) periods(s revenuecat.Subscription, periods []revenuecat.Transaction) []economy.PurchaseFact {
	first := slices.MinFunc(periods, func(a, b revenuecat.Transaction) int {
		return cmp.Or(a.PurchasedAt.Compare(b.PurchasedAt), cmp.Compare(a.ID, b.ID))
	})
	trial := currentTrial(s, periods)
	var facts []economy.PurchaseFact
	for _, p := range periods {
		fact := t.fact(s.Store, s.Environment, p.ID)
		fact.AppUserID, fact.Buyer, fact.Product, fact.Original = s.CustomerID, s.OriginalCustomerID, p.Product, first.ID
		fact.PurchasedAt, fact.Ownership = p.PurchasedAt, s.Ownership
		if !p.ExpiresAt.IsZero() {
			fact.ExpiresAt = &p.ExpiresAt
		}
		fact.EndedAt, fact.GraceUntil = ends(p)
		if p.ID == trial {
			fact.Period = economy.PeriodTrial
		}
		facts = append(facts, fact)
		if guess, ok := t.unpaid(s, p); ok && p.ID != trial {
			facts = append(facts, guess)
		}
	}
	return facts
}

// ends tells when a period really ended, or until when it goes on by grace, from the
// end as sold and the one in effect.
func ends(p revenuecat.Transaction) (endedAt, graceUntil *time.Time) {
	switch {
	case p.ExpiresAt.IsZero() || p.EffectiveExpires.IsZero():
		return nil, nil
	case p.EffectiveExpires.Before(p.ExpiresAt):
		return &p.EffectiveExpires, nil
	case p.EffectiveExpires.After(p.ExpiresAt):
		return &time.Time{}, &p.EffectiveExpires
	}
	return &time.Time{}, &time.Time{}
}

// currentTrial returns the id of the period that is a trial now; empty: none is.
func currentTrial(s revenuecat.Subscription, periods []revenuecat.Transaction) string {
	if s.Status != revenuecat.SubscriptionTrialing {
		return ""
	}
	var current revenuecat.Transaction
	for _, p := range periods { // the next one may be charged already, and is listed then
		if !p.PurchasedAt.After(s.CurrentPeriodStartsAt) && !p.PurchasedAt.Before(current.PurchasedAt) {
			current = p
		}
	}
	return current.ID
}

// guessBefore dates what we only conclude to before anything that could be told of
// it: an event of a renewal may come a day before the period it is about.
const guessBefore = 48 * time.Hour

// unpaid is the guess that a past period whose price was 0 was a trial, which brings
// no items. The API does not say so; every other word on it wins, whenever it comes.
func (t teller) unpaid(s revenuecat.Subscription, p revenuecat.Transaction) (economy.PurchaseFact, bool) {
	if !p.Unpaid || p.PurchasedAt.IsZero() || s.Environment != economy.Production || s.Store == economy.PromotionalStore || s.Ownership != economy.OwnershipPurchased {
		return economy.PurchaseFact{}, false
	}
	fact := t.fact(s.Store, s.Environment, p.ID)
	fact.At, fact.By, fact.Period = p.PurchasedAt.Add(-guessBefore), Spec.Name+":unpaid", economy.PeriodTrial
	return fact, true
}

// newestPeriod is the fact of a subscription whose periods the API does not list: of
// the newest one, as the subscription itself tells it. ok is false where its
// transaction cannot be told: Stripe repeats one id in every period, and which one
// this is is not said.
func (t teller) newestPeriod(s revenuecat.Subscription, product string) (fact economy.PurchaseFact, ok bool) {
	begins, until := s.CurrentPeriodStartsAt, s.CurrentPeriodEndsAt
	if renewed := s.EndsAt; renewed.After(until) && !until.IsZero() { // the id is the next period's
		begins, until = until, renewed
	}
	first := begins.Equal(s.StartsAt)
	if s.Store == economy.StripeStore && !first || s.StoreID == "" {
		return economy.PurchaseFact{}, false
	}
	fact = t.fact(s.Store, s.Environment, s.StoreID)
	fact.AppUserID, fact.Buyer, fact.Product = s.CustomerID, s.OriginalCustomerID, product
	fact.PurchasedAt, fact.Ownership = begins, s.Ownership
	if first {
		fact.Original = s.StoreID
	}
	if s.Status == revenuecat.SubscriptionTrialing && begins.Equal(s.CurrentPeriodStartsAt) {
		fact.Period = economy.PeriodTrial
	}
	if !until.IsZero() {
		fact.ExpiresAt = &until
	}
	switch {
	case s.GivesAccess:
		fact.EndedAt = &time.Time{}
	case t.at.Before(until):
		fact.EndedAt = &t.at // before its time; when exactly is not told
	}
	return fact, true
}
