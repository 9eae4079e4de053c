package simulator

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// change does something with what a store's transaction is of: the sale, or the
// subscription with the place of its period. What f changes of its copy becomes true.
func (s *Simulator) change(transaction string, f func(h *happening, v *sale, sub *subscription, at int) error) (Bought, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.books.shelf.byStoreID[transaction]
	if known := s.books.shelf.sales[id]; known != nil {
		h, v := s.begin(), *known
		if err := f(h, &v, nil, 0); err != nil {
			return Bought{}, err
		}
		h.entry.Sales = append(h.entry.Sales, v)
		return h.commit(id, transaction)
	}
	known := s.books.shelf.subscriptions[id]
	if known == nil {
		return Bought{}, fmt.Errorf("no transaction %q", transaction)
	}
	h, v := s.begin(), *known
	v.Periods = slices.Clone(known.Periods)
	at := len(v.Periods) - 1
	for at > 0 && v.Periods[at].StoreID != transaction {
		at--
	}
	if err := f(h, nil, &v, at); err != nil {
		return Bought{}, err
	}
	h.entry.Subscriptions = append(h.entry.Subscriptions, v)
	return h.commit(id, v.latest().StoreID)
}

// errNotSubscribed says that a one-time purchase has no periods.
var errNotSubscribed = errors.New("it was bought once: that is for subscriptions")

// Renew begins the next period of a subscription, where the last one ends, or now if
// that is over. RENEWAL follows, and VIRTUAL_CURRENCY_TRANSACTION when it brings
// currency. product names another product of the store; "": the same.
func (s *Simulator) Renew(transaction, product string) (Bought, error) {
	return s.change(transaction, func(h *happening, _ *sale, sub *subscription, _ int) error {
		if sub == nil {
			return errNotSubscribed
		}
		last := sub.latest()
		p := s.products[last.Product]
		if product != "" {
			var err error
			if p, err = s.productOf(sub.Store, product); err != nil {
				return err
			}
		}
		if p.Lasts == 0 {
			return fmt.Errorf("product %s is not for sale any more, or no subscription", last.SKU)
		}
		begins := last.Effective
		if begins.Before(h.at) {
			begins = h.at
		}
		next := period{Product: p.ID, SKU: p.Identifier, PurchasedAt: begins, ExpiresAt: begins.Add(p.Lasts), Effective: begins.Add(p.Lasts)}
		switch sub.Store {
		case stripeStore: // one id for all periods
			next.StoreID = last.StoreID
		case playStore: // the first period's, and a number
			next.StoreID = fmt.Sprintf("%s..%d", sub.Periods[0].StoreID, len(sub.Periods)-1)
		default:
			next.StoreID = h.transaction(sub.Store)
		}
		sub.Periods, sub.WillNot, sub.Ended = append(sub.Periods, next), false, false
		newest := len(sub.Periods) - 1
		t := h.aboutPeriod(*sub, newest)
		h.tell("RENEWAL", t, priced(1), with("is_trial_conversion", last.Trial))
		sub.Periods[newest].Currency = h.bring(t, p.Credits, 1)
		return nil
	})
}

// Cancel turns a subscription's renewal off: CANCELLATION follows. Access stays
// until the end of the period.
func (s *Simulator) Cancel(transaction string) (Bought, error) {
	return s.change(transaction, func(h *happening, _ *sale, sub *subscription, _ int) error {
		if sub == nil {
			return errNotSubscribed
		}
		sub.WillNot = true
		h.tell("CANCELLATION", h.aboutPeriod(*sub, len(sub.Periods)-1), priced(0), with("cancel_reason", "UNSUBSCRIBE"))
		return nil
	})
}

// Uncancel turns it on again: UNCANCELLATION follows.
func (s *Simulator) Uncancel(transaction string) (Bought, error) {
	return s.change(transaction, func(h *happening, _ *sale, sub *subscription, _ int) error {
		if sub == nil {
			return errNotSubscribed
		}
		sub.WillNot = false
		h.tell("UNCANCELLATION", h.aboutPeriod(*sub, len(sub.Periods)-1), priced(0))
		return nil
	})
}

// FailBilling says that the store could not charge for the next period; access goes
// on for a grace. BILLING_ISSUE and CANCELLATION follow.
func (s *Simulator) FailBilling(transaction string, grace time.Duration) (Bought, error) {
	return s.change(transaction, func(h *happening, _ *sale, sub *subscription, _ int) error {
		if sub == nil {
			return errNotSubscribed
		}
		if grace < 0 {
			return errors.New("grace is negative")
		}
		last := &sub.Periods[len(sub.Periods)-1]
		last.Effective = last.ExpiresAt.Add(grace)
		t := h.aboutPeriod(*sub, len(sub.Periods)-1)
		var until any
		if grace > 0 {
			until = last.Effective.UnixMilli()
		}
		h.tell("BILLING_ISSUE", t, priced(0), with("grace_period_expiration_at_ms", until))
		h.tell("CANCELLATION", t, priced(0), with("cancel_reason", "BILLING_ERROR"))
		return nil
	})
}

// Expire ends a subscription now: EXPIRATION follows.
func (s *Simulator) Expire(transaction string) (Bought, error) {
	return s.change(transaction, func(h *happening, _ *sale, sub *subscription, _ int) error {
		if sub == nil {
			return errNotSubscribed
		}
		h.expire(sub, len(sub.Periods)-1, "UNSUBSCRIBE")
		return nil
	})
}

// expire ends a subscription at a period, at the latest now.
func (h *happening) expire(sub *subscription, at int, reason string) {
	sub.Ended, sub.WillNot = true, true
	if end := &sub.Periods[at].Effective; h.at.Before(*end) {
		*end = h.at
	}
	t := h.aboutPeriod(*sub, at)
	t.expiresAt = sub.Periods[at].Effective
	h.tell("EXPIRATION", t, priced(0), with("expiration_reason", reason))
}

// Refund gives the money back: CANCELLATION follows, EXPIRATION for a subscription's
// newest period, and VIRTUAL_CURRENCY_TRANSACTION when it takes currency back: all of
// it, as far as the balance goes. Of an older period no event tells, as with the provider.
func (s *Simulator) Refund(transaction string) (Bought, error) {
	return s.change(transaction, func(h *happening, v *sale, sub *subscription, at int) error {
		if v != nil {
			if v.Refunded {
				return errors.New("it is refunded already")
			}
			v.Refunded = true
			t := h.aboutSale(*v)
			h.tell("CANCELLATION", t, priced(-1), with("cancel_reason", "CUSTOMER_SUPPORT"))
			v.Currency.Taken = h.move(t, v.Currency.Holder, v.Currency.Brought.Negated()).Negated()
			return nil
		}
		p := &sub.Periods[at]
		if p.Refunded {
			return errors.New("it is refunded already")
		}
		p.Refunded = true
		if at < len(sub.Periods)-1 {
			return nil
		}
		t := h.aboutPeriod(*sub, at)
		h.tell("CANCELLATION", t, priced(-1), with("cancel_reason", "CUSTOMER_SUPPORT"))
		h.expire(sub, at, "CUSTOMER_SUPPORT")
		p.Currency.Taken = h.move(t, p.Currency.Holder, p.Currency.Brought.Negated()).Negated()
		return nil
	})
}

// ReverseRefund takes a refund back: REFUND_REVERSED follows, and the currency that
// the refund took is given again. The provider does not document that.
func (s *Simulator) ReverseRefund(transaction string) (Bought, error) {
	return s.change(transaction, func(h *happening, v *sale, sub *subscription, at int) error {
		if v != nil {
			if !v.Refunded {
				return errors.New("it is not refunded")
			}
			t := h.aboutSale(*v)
			h.tell("REFUND_REVERSED", t, priced(1))
			h.move(t, v.Currency.Holder, v.Currency.Taken)
			v.Refunded, v.Currency.Taken = false, nil
			return nil
		}
		p := &sub.Periods[at]
		if !p.Refunded {
			return errors.New("it is not refunded")
		}
		p.Effective, sub.Ended = p.ExpiresAt, false
		t := h.aboutPeriod(*sub, at)
		h.tell("REFUND_REVERSED", t, priced(1))
		h.move(t, p.Currency.Holder, p.Currency.Taken)
		p.Refunded, p.Currency.Taken = false, nil
		return nil
	})
}
