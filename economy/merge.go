package economy

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"
)

// Merge returns what is known of a purchase after one more fact. It is a join of
// a semilattice: facts may come in any order, grouped in any way and any number
// of times, from any mixture of sources, and what is known ends the same.
//
// Each thing a fact tells is kept with its stamp, and the newest word on it wins:
// by the source's own time, then live over read (webhook, resync, export), then by
// FactKind, then by the id of what told it. A claim yields to every other source,
// whatever its time. Only the buyer is the other way round: the oldest word wins.
//
// known is the zero Purchase for one that is new. Facts of another purchase panic:
// the caller looked up the wrong row.
func Merge(known Purchase, fact PurchaseFact) Purchase {
	said := PurchaseOf(fact)
	if known.Key == (PurchaseKey{}) {
		return said
	}
	return Join(known, said)
}

// Join returns what two records of one purchase know together.
func Join(a, b Purchase) Purchase {
	if a.Key != b.Key {
		panic(fmt.Sprintf("economy: %s joined with %s", a.Key, b.Key))
	}
	return Purchase{
		Key:         a.Key,
		Owner:       newer(a.Owner, b.Owner),
		Buyer:       older(a.Buyer, b.Buyer),
		Product:     newer(a.Product, b.Product),
		Original:    newer(a.Original, b.Original),
		PurchasedAt: newer(a.PurchasedAt, b.PurchasedAt),
		Quantity:    newer(a.Quantity, b.Quantity),
		Ownership:   newer(a.Ownership, b.Ownership),
		Period:      newer(a.Period, b.Period),
		Renewal:     newer(a.Renewal, b.Renewal),
		Paid:        newer(a.Paid, b.Paid),
		PaidUSD:     newer(a.PaidUSD, b.PaidUSD),
		ExpiresAt:   newer(a.ExpiresAt, b.ExpiresAt),
		GraceUntil:  newer(a.GraceUntil, b.GraceUntil),
		EndedAt:     newer(a.EndedAt, b.EndedAt),
		Refund:      newer(a.Refund, b.Refund),
		Intent:      newer(a.Intent, b.Intent),
	}
}

// PurchaseOf returns what one fact alone tells. Times are kept in UTC and in
// microseconds, as the database does.
func PurchaseOf(f PurchaseFact) Purchase {
	stamp := Stamp{Source: f.Source, At: normalTime(f.At), Kind: f.Kind, By: f.By}
	first := stamp
	buyer := f.Buyer
	if buyer == "" {
		buyer = f.AppUserID
	} else if !f.PurchasedAt.IsZero() {
		first.At = normalTime(f.PurchasedAt) // the source knows who had it then
	}
	p := Purchase{
		Key:         f.Key,
		Owner:       said(f.AppUserID, stamp),
		Buyer:       said(buyer, first),
		Product:     said(f.Product, stamp),
		Original:    said(f.Original, stamp),
		PurchasedAt: said(normalTime(f.PurchasedAt), stamp),
		Quantity:    said(f.Quantity, stamp),
		Ownership:   said(f.Ownership, stamp),
		Period:      said(f.Period, stamp),
		Renewal:     said(f.Renewal, stamp),
		Paid:        told(f.Paid, stamp),
		PaidUSD:     told(f.PaidUSD, stamp),
		ExpiresAt:   toldTime(f.ExpiresAt, stamp),
		GraceUntil:  toldTime(f.GraceUntil, stamp),
		EndedAt:     toldTime(f.EndedAt, stamp),
		Refund:      told(f.Refund, stamp),
		Intent:      told(f.Intent, stamp),
	}
	p.Refund.Value.At = normalTime(p.Refund.Value.At)
	p.Intent.Value.Resumes = normalTime(p.Intent.Value.Resumes)
	return p
}

// Limits of a fact; what exceeds them is not a purchase the provider can mean.
const (
	transactionIDMax = 255
	productIDMax     = 511 // RevenueCat API v2, product_store_identifier
	appUserIDMax     = 1500
	quantityMax      = 1_000_000
)

// Validate returns every reason why a fact cannot be recorded, joined: what names
// no purchase, no source or no time, or is out of range.
func (f PurchaseFact) Validate() error {
	var problems []error
	need := func(ok bool, what string) {
		if !ok {
			problems = append(problems, errors.New(what))
		}
	}
	need(f.Key.Store != "" && len(f.Key.Store) <= 50, "store is missing or too long")
	need(f.Key.Environment == Production || f.Key.Environment == Sandbox, "environment is neither production nor sandbox")
	need(f.Key.TransactionID != "" && len(f.Key.TransactionID) <= transactionIDMax, "transaction id is missing or too long")
	need(sourceOrder[f.Source] > 0 || f.Source == FromClaim, "source is not one of ours")
	need(f.By != "", "what told it is missing")
	for _, at := range []time.Time{f.At, f.PurchasedAt, deref(f.ExpiresAt), deref(f.GraceUntil), deref(f.EndedAt), deref(f.Refund).At, deref(f.Intent).Resumes} {
		need(at.IsZero() || at.Year() >= 1970 && at.Year() < 3000, "a time is not between 1970 and 3000")
	}
	need(!f.At.IsZero(), "its time is missing")
	need(len(f.AppUserID) <= appUserIDMax && len(f.Buyer) <= appUserIDMax, "app user id is too long")
	need(len(f.Product) <= productIDMax && len(f.Original) <= productIDMax, "product or original transaction is too long")
	need(f.Quantity >= 0 && f.Quantity <= quantityMax, "quantity is out of range")
	need(f.Renewal >= 0 && f.Renewal <= math.MaxInt32, "renewal number is out of range")
	if len(problems) > 0 {
		return fmt.Errorf("%s by %s: %w", f.Key, f.Source, errors.Join(problems...))
	}
	return nil
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// Stamps walks over the stamps of a purchase, each with the short name it is
// stored under. The names never change: rows hold them.
func (p *Purchase) Stamps() iter.Seq2[string, *Stamp] {
	return func(yield func(string, *Stamp) bool) {
		_ = yield("o", &p.Owner.Stamp) && yield("b", &p.Buyer.Stamp) && yield("p", &p.Product.Stamp) &&
			yield("f", &p.Original.Stamp) && yield("t", &p.PurchasedAt.Stamp) && yield("q", &p.Quantity.Stamp) &&
			yield("w", &p.Ownership.Stamp) && yield("k", &p.Period.Stamp) && yield("n", &p.Renewal.Stamp) &&
			yield("m", &p.Paid.Stamp) && yield("u", &p.PaidUSD.Stamp) && yield("x", &p.ExpiresAt.Stamp) &&
			yield("g", &p.GraceUntil.Stamp) && yield("e", &p.EndedAt.Stamp) && yield("r", &p.Refund.Stamp) && yield("i", &p.Intent.Stamp)
	}
}

// CompareStamps orders stamps: less than zero when b is the newer word.
func CompareStamps(a, b Stamp) int {
	return cmp.Or(
		cmp.Compare(weight(a), weight(b)),
		a.At.Compare(b.At),
		cmp.Compare(sourceOrder[a.Source], sourceOrder[b.Source]),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.By, b.By),
	)
}

// weight of a stamp before its time counts: nothing, a claim, knowledge.
func weight(s Stamp) int {
	switch s.Source {
	case "":
		return 0
	case FromClaim:
		return 1
	default:
		return 2
	}
}

func newer[T comparable](a, b Said[T]) Said[T] {
	if compareSaid(a, b) < 0 {
		return b
	}
	return a
}

func older[T comparable](a, b Said[T]) Said[T] {
	switch wa, wb := weight(a.Stamp), weight(b.Stamp); {
	case wa > wb:
		return a
	case wa < wb:
		return b
	case compareSaid(a, b) > 0:
		return b
	}
	return a
}

// compareSaid orders by stamp, and where one source contradicts itself under one
// stamp, by the value: any rule does, as long as it is always the same.
func compareSaid[T comparable](a, b Said[T]) int {
	if order := CompareStamps(a.Stamp, b.Stamp); order != 0 || a.Value == b.Value {
		return order
	}
	return cmp.Compare(fmt.Sprint(a.Value), fmt.Sprint(b.Value))
}

// said keeps a value unless it is zero, which says nothing.
func said[T comparable](value T, stamp Stamp) Said[T] {
	var zero T
	if value == zero {
		return Said[T]{}
	}
	return Said[T]{value, stamp}
}

// told keeps what is pointed to, zero or not.
func told[T any](value *T, stamp Stamp) Said[T] {
	if value == nil {
		return Said[T]{}
	}
	return Said[T]{*value, stamp}
}

func toldTime(value *time.Time, stamp Stamp) Said[time.Time] {
	if value == nil {
		return Said[time.Time]{}
	}
	return Said[time.Time]{normalTime(*value), stamp}
}

// normalTime makes equal moments equal values.
func normalTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
