package purchases

import (
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

// History is everything a customer's accesses and items follow from, of one moment
// of the database.
type History struct {
	Customer  economy.Customer
	Version   int64      // of the customer's row; 0: never folded
	Purchases []Recorded // of the customer, and of everybody whom transfers connect with it
	Transfers []economy.Transfer
	Accesses  []economy.Access    // as folded last
	Lines     []economy.GrantLine // what purchases brought so far
	Claims    []economy.Claim     // open claims of the customer's purchases, whoever made them, and the customer's own

	// CatalogVersion is the version of the catalogue that the shop loaded last; 0: none was.
	CatalogVersion int64

	family family
	absorb []absorbed // aliases of the customer that might still be folded by themselves
	others []string   // of Told.After: whom else the purchase concerns
}

// OwnerOf returns the id of the customer a purchase belongs to; empty: nobody was named.
func (h History) OwnerOf(p economy.Purchase) string {
	return economy.OwnerOf(p, h.Transfers, h.customerOf)
}

func (h History) customerOf(appUserID string) string { return h.family.customer(appUserID).ID }

// Bought returns the history's purchases in the eyes of its customer. packageOf
// tells what a purchase's product brings and by which version of the catalogue: the
// one the purchase is bound to, else the current one; ok false: none knows it.
// sandbox tells whether the customer's sandbox purchases count, too.
func (h History) Bought(packageOf func(Recorded) (p economy.Package, version int64, ok bool), sandbox bool) []economy.Bought {
	list := make([]economy.Bought, 0, len(h.Purchases))
	for _, p := range h.Purchases {
		b := economy.Bought{
			Purchase: p.Purchase,
			Owner:    h.OwnerOf(p.Purchase) == h.Customer.ID,
			Buyer:    p.Buyer.Known() && h.customerOf(p.Buyer.Value) == h.Customer.ID,
			Counts:   p.Key.Environment == economy.Production || sandbox,
			UsedUp:   p.UsedUp,
		}
		if bundle, version, ok := packageOf(p); ok { // otherwise it brings nothing, and still ends what it replaced
			b.Package, b.CatalogVersion = bundle, version
		}
		list = append(list, b)
	}
	return list
}

// Effects returns what writes a fold down, under the guard that nobody folded the
// customer meanwhile: accesses, lines of what purchases brought, conflicts, claims
// that the purchases settle, and what was bought that no catalogue has. bought are the
// purchases that were folded.
func (h History) Effects(bought []economy.Bought, folded economy.Holdings, now time.Time) outbox.Effects {
	effects := outbox.Effects{
		Guard: Folded{CustomerID: h.Customer.ID, KnownVersion: h.Version, At: now, absorb: h.absorb},
		Owner: h.Customer.ID,
	}
	for _, alias := range h.absorb {
		effects.Touches = append(effects.Touches, CustomerKey(alias.ID))
	}
	for _, access := range economy.AccessChanges(h.Accesses, folded.Accesses, now) {
		effects.Rows = append(effects.Rows, accessRow{h.Customer.ID, access, now})
	}
	for _, line := range economy.GrantLines(h.Lines, folded.Grants) {
		effects.Rows = append(effects.Rows, grantRow{h.Customer.ID, line, now})
	}
	if len(folded.Conflict) > 0 {
		effects.Rows = append(effects.Rows, conflictRow{h.Customer.ID, folded.Conflict, now})
	}
	for _, p := range h.Purchases {
		if p.CatalogVersion > 0 {
			continue
		}
		for _, b := range bought {
			if b.Purchase.Key != p.Key {
				continue
			}
			if row := catalogued(b, now); row != nil {
				effects.Rows = append(effects.Rows, row)
				effects.Touches = append(effects.Touches, PurchaseKey(p.Key))
			}
		}
	}
	h.settleClaims(&effects, now)
	return effects
}

// catalogued returns the row that binds a purchase to the catalogue that has it, or that
// says that none has. The latter is for whoever has part in the purchase: they are folded
// again whenever it changes, so that what is written last is true.
func catalogued(b economy.Bought, now time.Time) outbox.Row {
	switch {
	case b.CatalogVersion > 0:
		return Bind(b.Purchase.Key, b.CatalogVersion)
	case b.Purchase.Product.Value != "" && (b.Owner || b.Buyer):
		return unknownRow{b.Purchase.Key, b.Purchase.Product.Value, now}
	}
	return nil
}

// settleClaims settles the open claims of purchases that belong to the customer.
func (h History) settleClaims(effects *outbox.Effects, now time.Time) {
	for _, claim := range h.Claims {
		for _, p := range h.Purchases {
			if p.Key.Store != claim.Store || p.Key.TransactionID != claim.TransactionID || h.OwnerOf(p.Purchase) != h.Customer.ID {
				continue
			}
			if settled := economy.SettleClaim(claim, p.Purchase, h.Customer.Has(claim.AppUserID), now); settled != claim {
				effects.Rows = append(effects.Rows, Settle(settled))
				effects.Touches = append(effects.Touches, ClaimKey(claim.ID))
				break
			}
		}
	}
}

// Others returns the customers besides the history's own that have part in one of
// its purchases: who owns it after transfers, and who bought it. They are to be
// folded too when the purchase changes; with no keys, those of all its purchases,
// when links or transfers changed. Sorted.
func (h History) Others(keys ...economy.PurchaseKey) []string {
	var ids []string
	for _, p := range h.Purchases {
		if len(keys) == 0 || slices.Contains(keys, p.Key) {
			ids = append(ids, h.OwnerOf(p.Purchase), h.customerOf(p.Buyer.Value))
		}
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool {
		return id == "" || id == h.Customer.ID
	})
}

// FoldAgain returns the events that have the others folded, caused by an event.
func FoldAgain(lane events.Lane, cause string, customers []string, at time.Time) []events.Event {
	list := make([]events.Event, len(customers))
	for i, id := range customers {
		list[i] = events.NewStoreCustomerChanged(lane, events.CustomerOwnership, cause, id, at)
	}
	return list
}
