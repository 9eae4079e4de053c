package economy

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// anonymousPrefix begins the ids that the provider's SDK makes up for a player
// who is not logged in.
const anonymousPrefix = "$RCAnonymousID:"

// IsAnonymous reports whether an App User ID was made up by the provider's SDK.
func IsAnonymous(appUserID string) bool { return strings.HasPrefix(appUserID, anonymousPrefix) }

// Customer is all App User IDs that the provider says are one person.
type Customer struct {
	ID         string   // see CustomerID
	AppUserIDs []string // sorted
}

// NewCustomer returns the customer of these ids, at least one.
func NewCustomer(appUserIDs []string) Customer {
	ids := slices.Clone(appUserIDs)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return Customer{ID: CustomerID(ids), AppUserIDs: ids}
}

// Has reports whether an App User ID is the customer's.
func (c Customer) Has(appUserID string) bool { return slices.Contains(c.AppUserIDs, appUserID) }

// CustomerID chooses the id that stands for a set of aliases: the smallest that is
// not anonymous, else the smallest. It depends on the set alone, not on how the
// set came about.
func CustomerID(appUserIDs []string) string {
	return slices.MinFunc(appUserIDs, func(a, b string) int {
		return cmp.Or(compareBool(IsAnonymous(a), IsAnonymous(b)), strings.Compare(a, b))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Transfer says that purchases moved from one customer to another at a moment.
// Each side lists ids of ONE customer. Currency never moves.
type Transfer struct {
	ID          string      // the event's id
	At          time.Time   // the provider's time
	Store       Store       // only this store's purchases; empty: all
	Environment Environment // only this one's; empty: both
	From, To    []string
}

// CompareTransfers orders transfers by time, then by id.
func CompareTransfers(a, b Transfer) int {
	return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
}

func (t Transfer) concerns(key PurchaseKey) bool {
	return (t.Store == "" || t.Store == key.Store) && (t.Environment == "" || t.Environment == key.Environment)
}

// OwnerOf returns the customer a purchase belongs to: whom its newest statement
// names, moved along by every transfer that is not older than that statement.
// customerOf resolves an App User ID to its customer's ID. The order of transfers
// does not matter. An empty result: nobody was named.
func OwnerOf(p Purchase, transfers []Transfer, customerOf func(appUserID string) string) string {
	if !p.Owner.Known() || p.Owner.Value == "" {
		return ""
	}
	owner := customerOf(p.Owner.Value)
	for _, t := range slices.SortedFunc(slices.Values(transfers), CompareTransfers) {
		if t.At.Before(p.Owner.Stamp.At) || !t.concerns(p.Key) || len(t.To) == 0 {
			continue
		}
		if slices.ContainsFunc(t.From, func(id string) bool { return customerOf(id) == owner }) {
			owner = customerOf(t.To[0])
		}
	}
	return owner
}
