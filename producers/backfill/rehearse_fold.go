package backfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// holdings folds every customer as it is and as it would be, and tells what differs.
func (r *rehearsing) holdings(ctx context.Context) error {
	is, would := purchases.NewStore(r.DB), purchases.NewStore(r.Own)
	seen := map[string]bool{} // customers of several ids
	last := ""
	for {
		ids, err := r.own.Players(ctx, last, rehearsalPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		last = ids[len(ids)-1]
		folds := make([]folded, len(ids))
		group, asking := errgroup.WithContext(ctx)
		group.SetLimit(rehearsalAsks)
		for i, id := range ids {
			group.Go(func() error {
				var err error
				folds[i], err = r.folded(asking, is, would, id)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, f := range folds {
			if f.aliased && seen[f.customer] {
				continue
			}
			if f.aliased {
				seen[f.customer] = true
			}
			r.Players++
			if err := r.differ(f); err != nil {
				return err
			}
		}
		r.tell(fmt.Sprintf("what accesses and items come to: %d customers so far", r.Players))
	}
}

// differ tells of what differs of one customer.
func (r *rehearsing) differ(f folded) error {
	for _, d := range append(f.accesses(r.Now()), f.items()...) {
		if err := r.each(d); err != nil {
			return err
		}
		if bought := f.purchases[d.Purchase]; d.What == "item_granted" && bought.consumable {
			r.Total.Consumables += d.Quantity
			r.of(d.Product).Consumables += d.Quantity
			if r.ConsumablesSince.IsZero() || bought.at.Before(r.ConsumablesSince) {
				r.ConsumablesSince = bought.at
			}
		}
	}
	return nil
}

// folded is a customer before and after.
type folded struct {
	customer      string
	aliased       bool
	before, after held
	purchases     map[economy.PurchaseKey]bought
}

// held is what purchases come to.
type held struct {
	accesses map[string]economy.Access // by module
	items    map[itemOf]int64
	usedUp   map[itemOf]int64 // that are not handed over
}

// itemOf is what one purchase brings of one item.
type itemOf struct {
	purchase economy.PurchaseKey
	item     string
}

// bought is what is told of a purchase beside what it brings.
type bought struct {
	product    string
	at         time.Time
	consumable bool
}

func (r *rehearsing) folded(ctx context.Context, is, would *purchases.Store, id string) (folded, error) {
	h, err := would.History(ctx, id)
	if err != nil {
		return folded{}, err
	}
	f := folded{
		customer: h.Customer.ID, aliased: len(h.Customer.AppUserIDs) > 1, purchases: map[economy.PurchaseKey]bought{},
		before: held{accesses: map[string]economy.Access{}, items: map[itemOf]int64{}, usedUp: map[itemOf]int64{}},
	}
	if f.after, err = r.fold(ctx, h, f.purchases); err != nil {
		return f, err
	}
	asked := map[string]bool{}
	for _, id := range h.Customer.AppUserIDs { // who may be several customers now
		if asked[id] {
			continue
		}
		was, err := is.History(ctx, id)
		if err != nil {
			return f, err
		}
		for _, id := range was.Customer.AppUserIDs {
			asked[id] = true
		}
		one, err := r.fold(ctx, was, f.purchases)
		if err != nil {
			return f, err
		}
		for module, access := range one.accesses {
			if had, ok := f.before.accesses[module]; !ok || longer(access, had) {
				f.before.accesses[module] = access
			}
		}
		maps.Copy(f.before.items, one.items)
		maps.Copy(f.before.usedUp, one.usedUp)
	}
	return f, nil
}

// fold returns what a history comes to.
func (r *rehearsing) fold(ctx context.Context, h purchases.History, told map[economy.PurchaseKey]bought) (held, error) {
	if h.CatalogVersion == 0 {
		return held{}, errors.New("no catalogue was ever loaded, so nobody can say what a purchase brings: sluice serve loads it at its start")
	}
	versions := map[int64]economy.Catalog{}
	for _, p := range h.Purchases {
		for _, version := range []int64{p.CatalogVersion, h.CatalogVersion} {
			if _, loaded := versions[version]; loaded || version == 0 {
				continue
			}
			catalog, err := r.Catalogs.Catalog(ctx, version)
			if err != nil {
				return held{}, err
			}
			versions[version] = catalog
		}
	}
	list := h.Bought(func(p purchases.Recorded) (economy.Package, int64, bool) {
		for _, version := range []int64{p.CatalogVersion, h.CatalogVersion} {
			if bundle, ok := versions[version].PackageOf(p.Key.Store, p.Product.Value); ok {
				return bundle, version, true
			}
		}
		return economy.Package{}, 0, false
	}, slices.ContainsFunc(r.Testers, h.Customer.Has))
	spared := false
	for _, b := range list {
		told[b.Purchase.Key] = bought{b.Purchase.Product.Value, b.Purchase.PurchasedAt.Value, b.Package.Consumable}
		spared = spared || b.UsedUp && b.Package.Consumable
	}
	holdings := economy.Fold(h.Customer, list)
	out := held{accesses: map[string]economy.Access{}, items: itemsOf(holdings), usedUp: map[itemOf]int64{}}
	for _, access := range holdings.Accesses {
		out.accesses[access.Module] = access
	}
	if !spared {
		return out, nil
	}
	for i := range list {
		list[i].UsedUp = false
	}
	for of, n := range itemsOf(economy.Fold(h.Customer, list)) {
		if more := n - out.items[of]; more > 0 {
			out.usedUp[of] = more
		}
	}
	return out, nil
}

func itemsOf(holdings economy.Holdings) map[itemOf]int64 {
	items := map[itemOf]int64{}
	for _, grant := range holdings.Grants {
		if grant.Kind == economy.GrantedItem {
			items[itemOf{grant.Purchase, grant.Name}] += grant.Quantity
		}
	}
	return items
}

// accesses are those that are held only before or only after, and those that end at
// another time.
func (f folded) accesses(now time.Time) []Difference {
	var list []Difference
	modules := slices.Sorted(maps.Keys(f.after.accesses))
	for module := range f.before.accesses {
		if _, also := f.after.accesses[module]; !also {
			modules = append(modules, module)
		}
	}
	for _, module := range modules {
		before, after := f.before.accesses[module], f.after.accesses[module]
		d := Difference{Player: f.customer, Module: module, Purchase: after.Purchase, Until: after.ExpiresAt, UntilBefore: before.ExpiresAt}
		switch was, is := usable(before, now), usable(after, now); {
		case !was && is:
			d.What = "access_granted"
		case was && !is:
			d.What, d.Purchase = "access_revoked", before.Purchase
		case was && is && !before.ExpiresAt.Equal(after.ExpiresAt):
			d.What = "access_moved"
		default:
			continue
		}
		d.Product = f.product(d.Purchase)
		list = append(list, d)
	}
	return list
}

// items are those that purchases bring only before or only after, and those that they
// would bring, had they not been used up.
func (f folded) items() []Difference {
	var list []Difference
	add := func(what string, of itemOf, quantity int64) {
		if quantity > 0 {
			list = append(list, Difference{What: what, Player: f.customer, Product: f.product(of.purchase), Purchase: of.purchase, Item: of.item, Quantity: quantity})
		}
	}
	for _, of := range sortedItems(f.after.items) {
		add("item_granted", of, f.after.items[of]-f.before.items[of])
	}
	for _, of := range sortedItems(f.before.items) {
		add("item_revoked", of, f.before.items[of]-f.after.items[of])
	}
	for _, of := range sortedItems(f.after.usedUp) {
		add("item_used_up", of, f.after.usedUp[of]-f.before.usedUp[of])
	}
	return list
}

func sortedItems(items map[itemOf]int64) []itemOf {
	return slices.SortedFunc(maps.Keys(items), func(a, b itemOf) int {
		return cmp.Or(economy.ComparePurchaseKeys(a.purchase, b.purchase), cmp.Compare(a.item, b.item))
	})
}

func (f folded) product(key economy.PurchaseKey) string { return cmp.Or(f.purchases[key].product, "?") }

// usable reports whether an access may be used now.
func usable(a economy.Access, now time.Time) bool {
	return a.State == economy.AccessGranted && (a.ExpiresAt.IsZero() || a.ExpiresAt.After(now))
}

// longer reports whether an access is worth more than another of its module.
func longer(a, b economy.Access) bool {
	if a.State != b.State {
		return a.State == economy.AccessGranted
	}
	return a.ExpiresAt.IsZero() || !b.ExpiresAt.IsZero() && a.ExpiresAt.After(b.ExpiresAt)
}
