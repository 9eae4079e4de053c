package purchases

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

// Told is what a statement is held against, of one moment of the database.
type Told struct {
	Known    Recorded   // what is known of its purchase; zero: nothing
	Unlinked [][]string // of the groups of ids that are one customer each, those with a link that is not written down yet

	found snapshot
	links [][2]string
}

// Told reads what a statement about a purchase is held against, and about groups of
// ids that are one customer each. A zero key is about no purchase. More ids may be
// named whose history is needed, see Told.After.
//
// Errors: *outbox.DataError for a key or an id that cannot be anybody's.
func (s *Store) Told(ctx context.Context, key economy.PurchaseKey, groups [][]string, ids ...string) (Told, error) {
	q := question{key: key, ids: slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })}
	for _, group := range groups {
		q.ids = append(q.ids, group...)
	}
	if key == (economy.PurchaseKey{}) && len(q.ids) == 0 {
		return Told{}, nil
	}
	found, _, err := s.gathered.Get(ctx, &q)
	if err != nil {
		return Told{}, fmt.Errorf("read %s: %w", key, err)
	}
	t := Told{found: found}
	for _, group := range groups {
		fresh := slices.DeleteFunc(links(group), func(link [2]string) bool { return slices.Contains(found.links, link) })
		if len(fresh) > 0 {
			t.Unlinked, t.links = append(t.Unlinked, group), append(t.links, fresh...)
		}
	}
	for _, row := range slices.Concat(found.known, found.purchases) {
		if row.key() == key {
			t.Known, err = row.recorded()
			break
		}
	}
	return t, err
}

// After returns the history of the customer a purchase is about, as it will be once
// the purchase is merged and the new links are written; ok is false when it names nobody.
func (t Told) After(merged Merged) (h History, ok bool, err error) {
	concerned := slices.DeleteFunc([]string{
		merged.Purchase.Owner.Value, merged.Purchase.Buyer.Value, t.Known.Owner.Value, t.Known.Buyer.Value,
	}, func(id string) bool { return id == "" })
	if len(concerned) == 0 {
		return History{}, false, nil
	}
	key := merged.Purchase.Key
	if h, err = t.found.history(concerned[0], t.links, key.TransactionID); err != nil {
		return History{}, false, err
	}
	after := Recorded{Purchase: merged.Purchase, Version: merged.KnownVersion + 1, CatalogVersion: t.Known.CatalogVersion, RecordedAt: merged.RecordedAt, UsedUp: t.Known.UsedUp}
	if at := slices.IndexFunc(h.Purchases, func(p Recorded) bool { return p.Key == key }); at >= 0 {
		h.Purchases[at] = after
	} else {
		h.Purchases = append(h.Purchases, after)
	}
	h.others = h.Others(key)
	if len(t.links) > 0 {
		h.others = h.Others()
	}
	for _, id := range concerned {
		if id := h.customerOf(id); id != h.Customer.ID && !slices.Contains(h.others, id) {
			h.others = append(h.others, id)
		}
	}
	return h, true, nil
}

// Take returns the Effects that record what a merge recorded and, in the same commit,
// what its customer's purchases come to: Merge and a fold in one step. merge are the
// Effects of Merge, of a fact that taught something, and bought are the purchases of
// Told.After that were folded. The events have the customers folded whom the purchase
// concerns, too.
//
// Results: Applied; Stale when the purchase or the customer has moved on: read again.
func (h History) Take(merge outbox.Effects, bought []economy.Bought, folded economy.Holdings, lane events.Lane, now time.Time) outbox.Effects {
	effects := h.Effects(bought, folded, now)
	guard := taken{Merged: merge.Guard.(Merged), Folded: effects.Guard.(Folded)} //nolint:forcetypeassert // what Merge and Effects return
	key := guard.Purchase.Key
	effects.Rows = slices.DeleteFunc(effects.Rows, func(row outbox.Row) bool {
		bind, ok := row.(bindRow)
		ok = ok && bind.key == key
		if ok {
			guard.catalogVersion = bind.version
		}
		return ok
	})
	cause := events.NewStorePurchaseChanged(lane, key, guard.Merged.KnownVersion+1, h.Customer.ID, now).ID
	effects.Guard, effects.Owner = guard, merge.Owner
	effects.Rows = append(effects.Rows, merge.Rows...)
	effects.Touches = append(effects.Touches, PurchaseKey(key))
	effects.Events = FoldAgain(lane, cause, h.others, now)
	return effects
}
