package economy

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// Bought is a purchase in the eyes of one customer, with what its product brings.
type Bought struct {
	Purchase       Purchase
	Package        Package
	CatalogVersion int64 // the version of the catalogue the package is of
	Owner          bool  // it belongs to the customer now
	Buyer          bool  // it belonged to the customer first
	Counts         bool  // production, or the sandbox of a listed tester
	UsedUp         bool  // bought and used up before the books were kept: a consumable package brings no items
}

// AccessState tells whether an access may be used until its end.
type AccessState string

// The states of an access. Granted says nothing about the clock: look at ExpiresAt.
const (
	AccessGranted AccessState = "granted"
	AccessRevoked AccessState = "revoked" // taken back; ExpiresAt is when
)

// The causes of an access: why it ends when it does.
const (
	CausePeriod        = "period"         // the paid period ends
	CauseDuration      = "duration"       // the package's own time is over
	CauseForever       = "forever"        // it does not end
	CauseGrace         = "grace"          // billing failed, and the store waits until then
	CauseTemporary     = "temporary"      // on credit, while the store could not be asked
	CauseExpired       = "expired"        // the store ended it
	CauseProductChange = "product_change" // another product of the same subscription took its place
	CauseRefund        = "refund"         // the money went back
	CauseGone          = "gone"           // nothing the customer owns brings it any more: transferred, or merged elsewhere
)

// Access is a customer's right to use a module.
type Access struct {
	Module    string
	ExpiresAt time.Time // zero: never
	State     AccessState
	Cause     string
	Purchase  PurchaseKey // what decides its end
}

// PurchaseGrant is what one purchase has brought to a customer.
type PurchaseGrant struct {
	Purchase       PurchaseKey
	Kind           GrantedKind
	Name           string // the item or the module
	Quantity       int64  // of a module: 1
	CatalogVersion int64
}

// GrantedKind tells items from modules.
type GrantedKind string

// The kinds of what a purchase brings.
const (
	GrantedItem   GrantedKind = "item"
	GrantedModule GrantedKind = "module"
)

// Holdings is what a customer's purchases come to.
type Holdings struct {
	Accesses []Access        // one per module, sorted by it
	Grants   []PurchaseGrant // what is granted now, in the order of the purchases
	// Conflict lists the App User IDs, two or more that are not anonymous, whose own
	// purchases meet in this one customer. The provider says they are one person, and
	// all purchases count; a person should look at it.
	Conflict []string
}

// temporaryMax bounds access on credit (RevenueCat docs, TEMPORARY_ENTITLEMENT_GRANT: at most a day).
const temporaryMax = 24 * time.Hour

// foreverYear is where time bought by duration becomes for ever: beyond 9999 it
// could not be written.
const foreverYear = 9000

// Fold returns what a customer's purchases come to. It depends on the set of them
// alone, never on the order of their arrival.
//
// Purchases are taken in the order of their purchase, then of their key. A module
// bought by duration begins with the purchase, or when the module's time bought so
// far is over, whichever is later; one bought by period lasts as the store says,
// grace included. What is refunded counts as never bought. What the store ended
// ends there, and what another product of the same subscription replaced ends
// where that begins. A trial and a temporary grant bring accesses for their
// period only. Fold has no clock: an access of the past is still listed.
func Fold(customer Customer, bought []Bought) Holdings {
	bought = slices.SortedFunc(slices.Values(bought), compareBought)
	bought = slices.CompactFunc(bought, func(a, b Bought) bool { return a.Purchase.Key == b.Purchase.Key })
	replaced := replacements(bought)
	f := folding{modules: map[string]Access{}}
	owners := map[string]bool{}
	for _, b := range bought {
		p := b.Purchase
		if !b.Counts || !p.Confirmed() || p.Ownership.Value == OwnershipFamily && !b.Package.FamilyShare {
			continue
		}
		if b.Owner {
			f.accesses(b, replaced[p.Key])
			if id := p.Owner.Value; !IsAnonymous(id) && customer.Has(id) && !p.Refunded() && len(b.Package.Accesses) > 0 {
				owners[id] = true
			}
		}
		if b.Owner && !b.Package.Consumable || b.Buyer && b.Package.Consumable && !b.UsedUp {
			f.items(b)
		}
	}
	holdings := Holdings{Grants: f.grants}
	for _, access := range f.modules {
		holdings.Accesses = append(holdings.Accesses, access)
	}
	slices.SortFunc(holdings.Accesses, func(a, b Access) int { return strings.Compare(a.Module, b.Module) })
	if len(owners) > 1 {
		for id := range owners {
			holdings.Conflict = append(holdings.Conflict, id)
		}
		slices.Sort(holdings.Conflict)
	}
	return holdings
}

func compareBought(a, b Bought) int {
	return cmp.Or(a.Purchase.PurchasedAt.Value.Compare(b.Purchase.PurchasedAt.Value), ComparePurchaseKeys(a.Purchase.Key, b.Purchase.Key))
}

// ComparePurchaseKeys orders keys: by store, environment, transaction.
func ComparePurchaseKeys(a, b PurchaseKey) int {
	return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.TransactionID, b.TransactionID))
}

// replacements finds, for every period of a subscription, when a later one of
// another product began. Refunding the later one does not bring the earlier back.
func replacements(sorted []Bought) map[PurchaseKey]time.Time {
	type chain struct {
		store       Store
		environment Environment
		original    string
	}
	chains := map[chain][]Purchase{}
	for _, b := range sorted {
		p := b.Purchase
		if p.Confirmed() && p.Original.Value != "" && p.Period.Value != PeriodTemporary {
			c := chain{p.Key.Store, p.Key.Environment, p.Original.Value}
			chains[c] = append(chains[c], p)
		}
	}
	out := map[PurchaseKey]time.Time{}
	for _, periods := range chains {
		for i, p := range periods {
			next := slices.IndexFunc(periods[i+1:], func(later Purchase) bool {
				return later.Product.Value != p.Product.Value && later.PurchasedAt.Value.After(p.PurchasedAt.Value)
			})
			if next >= 0 {
				out[p.Key] = periods[i+1+next].PurchasedAt.Value
			}
		}
	}
	return out
}

// folding is a fold under way.
type folding struct {
	modules map[string]Access
	grants  []PurchaseGrant
}

func (f *folding) grant(b Bought, kind GrantedKind, name string, quantity int64) {
	f.grants = append(f.grants, PurchaseGrant{b.Purchase.Key, kind, name, quantity, b.CatalogVersion})
}

func (f *folding) items(b Bought) {
	p := b.Purchase
	switch {
	case p.Refunded(), p.Key.Store == PromotionalStore, p.Ownership.Value == OwnershipFamily, p.Period.Value == PeriodTemporary,
		p.Period.Value == PeriodTrial && !b.Package.TrialItems:
		return
	}
	for _, it := range b.Package.Items {
		f.grant(b, GrantedItem, it.Item, it.Quantity*p.Units()) // both at most a million
	}
}

func (f *folding) accesses(b Bought, replacedAt time.Time) {
	for _, a := range b.Package.Accesses {
		access, ok := f.access(b, a, replacedAt)
		if !ok {
			continue
		}
		if access.State == AccessGranted {
			f.grant(b, GrantedModule, a.Module, 1)
		}
		before, had := f.modules[a.Module]
		if !had || before.less(access) {
			f.modules[a.Module] = access
		}
	}
}

// less reports whether the other access lets its holder do more, or as much and
// came later.
func (a Access) less(b Access) bool {
	if a.State != b.State {
		return a.State == AccessRevoked
	}
	if a.ExpiresAt.IsZero() || b.ExpiresAt.IsZero() {
		return b.ExpiresAt.IsZero()
	}
	return !b.ExpiresAt.Before(a.ExpiresAt)
}

// access returns what a purchase makes of one module, ok false: nothing.
func (f *folding) access(b Bought, a PackageAccess, replacedAt time.Time) (Access, bool) {
	p := b.Purchase
	access := Access{Module: a.Module, State: AccessGranted, Purchase: p.Key}
	if p.Refunded() {
		access.State, access.Cause, access.ExpiresAt = AccessRevoked, CauseRefund, p.Refund.Value.At
		return access, true
	}
	begins := p.PurchasedAt.Value
	byPeriod := a.Lasts == Lasts{} || p.Period.Value == PeriodTrial || p.Key.Store == PromotionalStore
	switch {
	case p.Period.Value == PeriodTemporary:
		access.Cause, access.ExpiresAt = CauseTemporary, earlier(begins.Add(temporaryMax), p.ExpiresAt.Value)
	case byPeriod && !p.ExpiresAt.Known():
		return Access{}, false
	case byPeriod && p.ExpiresAt.Value.IsZero(), a.Lasts.Forever:
		access.Cause = CauseForever
	case byPeriod:
		access.Cause, access.ExpiresAt = CausePeriod, p.ExpiresAt.Value
		if p.GraceUntil.Value.After(access.ExpiresAt) {
			access.Cause, access.ExpiresAt = CauseGrace, p.GraceUntil.Value
		}
	default:
		access.Cause = CauseDuration
		if before, had := f.modules[a.Module]; had && before.State == AccessGranted {
			if before.ExpiresAt.IsZero() {
				access.Cause, access.ExpiresAt = CauseForever, time.Time{}
				return access, true
			}
			begins = later(begins, before.ExpiresAt)
		}
		access.ExpiresAt = begins.Add(times(a.Lasts.For, p.Units()))
		if access.ExpiresAt.Year() > foreverYear {
			access.Cause, access.ExpiresAt = CauseForever, time.Time{}
		}
	}
	access.stop(CauseProductChange, replacedAt)
	access.stop(CauseExpired, p.EndedAt.Value)
	return access, true
}

// stop ends an access at a moment, if that is before its end; zero: no stop.
func (a *Access) stop(cause string, at time.Time) {
	if !at.IsZero() && (a.ExpiresAt.IsZero() || at.Before(a.ExpiresAt)) {
		a.Cause, a.ExpiresAt = cause, at
	}
}

// times multiplies a duration, up to what can be held.
func times(d time.Duration, n int64) time.Duration {
	return d * time.Duration(min(n, math.MaxInt64/int64(d)))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier returns the earlier of two moments; a zero b is none.
func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
