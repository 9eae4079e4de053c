package backfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// Catalogs gives the versions of the catalogue; books.Catalogs does.
type Catalogs interface {
	Catalog(ctx context.Context, version int64) (economy.Catalog, error)
}

// Rehearsal tells what a command would change, and changes nothing.
type Rehearsal struct {
	DB       *sqlx.DB // as it is
	Own      *sqlx.DB // a pool of the rehearsal's own, which becomes one of a single connection
	Catalogs Catalogs
	Testers  []string // App User IDs whose purchases in the sandbox count
	Now      func() time.Time
	Each     func(Difference) error // optional: called with everything that would change
	Report   func(Progress)         // optional: while files are read
}

// Difference is one thing that would change.
type Difference struct {
	What        string // new, changed, refund, refund_reversed; access_granted, access_revoked, access_moved
	Player      string
	Product     string
	Purchase    economy.PurchaseKey
	Module      string    // of an access
	Until       time.Time // end of the purchase's period, or of the access; zero: none
	UntilBefore time.Time // of access_moved
}

// Impact is what would change, of one product or in total.
type Impact struct {
	Product  string `json:"product,omitempty"`
	New      int64  `json:"new"`
	Changed  int64  `json:"changed"`
	Refunds  int64  `json:"refunds"`  // purchases that turn out to be refunded
	Reversed int64  `json:"reversed"` // refunds that turn out to be taken back
	Granted  int64  `json:"accesses_granted"`
	Revoked  int64  `json:"accesses_revoked"`
	Moved    int64  `json:"accesses_moved"` // that would end at another time
}

// Rehearsed is the answer of a rehearsal.
type Rehearsed struct {
	Counts   Counts              `json:"rows"`
	Players  int64               `json:"players"` // customers with a purchase or link that would change
	Total    Impact              `json:"total"`
	Products []Impact            `json:"products"` // by product
	Refusals []*exports.RowError `json:"-"`        // the first refusalsMax
}

// refusalsMax bounds the refusals that a rehearsal keeps.
const refusalsMax = 100

const (
	rehearsalPage = 1000
	rehearsalAsks = 32 // histories that are asked for at once; they are read together
)

// Run reads the files and says what recording them would come to.
func (r *Rehearsal) Run(ctx context.Context, command Command, files []exports.File) (Rehearsed, error) {
	own, err := purchases.NewRehearsal(ctx, r.Own, purchases.BulkConfig{Lane: events.Bulk, Source: Source, Now: r.Now})
	if err != nil {
		return Rehearsed{}, err
	}
	out := rehearsing{Rehearsal: r, own: own, products: map[string]*Impact{}, since: time.Now()}
	for _, file := range files {
		out.run.BytesAll += file.Size
	}
	for _, file := range files {
		if err := out.read(ctx, command, file); err != nil {
			return out.Rehearsed, err
		}
	}
	if err := own.Taken(); err != nil {
		return out.Rehearsed, err
	}
	if err := errors.Join(out.purchases(ctx), out.accesses(ctx)); err != nil {
		return out.Rehearsed, err
	}
	for _, product := range slices.Sorted(maps.Keys(out.products)) {
		out.Products = append(out.Products, *out.products[product])
	}
	return out.Rehearsed, nil
}

type rehearsing struct {
	*Rehearsal
	Rehearsed

	own      *purchases.Rehearsal
	products map[string]*Impact
	run      Run
	since    time.Time
}

// read takes the rows of a file.
func (r *rehearsing) read(ctx context.Context, command Command, file exports.File) error {
	reader, err := command.open(ctx, file, 0)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	before := r.Counts.Bytes
	list := make([]purchases.Statement, 0, ChunkDefault)
	for {
		next, err := reader.next()
		if refused, ok := errors.AsType[*exports.RowError](err); ok {
			r.Counts.Refused++
			if len(r.Refusals) < refusalsMax {
				r.Refusals = append(r.Refusals, refused)
			}
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := err != nil
		switch {
		case end:
		case next.skip:
			r.Counts.Skipped++
		default:
			list = append(list, next.statement)
		}
		if !end && len(list) < ChunkDefault {
			continue
		}
		plan, err := r.own.Take(ctx, list)
		if err != nil {
			return fmt.Errorf("%s: row %d or before it: %w", file.URL, reader.Row(), err)
		}
		list = list[:0]
		r.Counts.New += int64(plan.New)
		r.Counts.Changed += int64(plan.Changed)
		r.Counts.Same += int64(plan.Unchanged)
		r.Counts.Links += int64(plan.Linked)
		r.Counts.Bytes = before + reader.BytesRead()
		r.tell("")
		if end {
			return nil
		}
	}
}

func (r *rehearsing) tell(why string) {
	if r.Report != nil {
		r.run.Counts = r.Counts
		r.Report(Progress{Run: r.run, Session: r.Counts.Rows(), Since: r.since, Waiting: why})
	}
}

func (r *rehearsing) of(product string) *Impact {
	if r.products[product] == nil {
		r.products[product] = &Impact{Product: product}
	}
	return r.products[product]
}

func (r *rehearsing) each(d Difference) error {
	for _, impact := range []*Impact{&r.Total, r.of(d.Product)} {
		switch d.What {
		case "new":
			impact.New++
		case "changed":
			impact.Changed++
		case "refund":
			impact.Refunds++
		case "refund_reversed":
			impact.Reversed++
		case "access_granted":
			impact.Granted++
		case "access_revoked":
			impact.Revoked++
		case "access_moved":
			impact.Moved++
		}
	}
	if r.Each == nil {
		return nil
	}
	return r.Each(d)
}

// purchases tells of every purchase that would change.
func (r *rehearsing) purchases(ctx context.Context) error {
	var last economy.PurchaseKey
	for {
		page, err := r.own.Page(ctx, last, rehearsalPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			last = economy.PurchaseKey{Store: economy.Store(p.Store), Environment: economy.Environment(p.Environment), TransactionID: p.TransactionID}
			d := Difference{What: "changed", Player: p.Player, Product: p.Product, Purchase: last}
			if p.New {
				d.What = "new"
			}
			if p.ExpiresAt != nil {
				d.Until = p.ExpiresAt.UTC()
			}
			if err := r.each(d); err != nil {
				return err
			}
			if d.What = map[bool]string{true: "refund", false: "refund_reversed"}[p.Refund]; p.Refund || p.Restored {
				if err := r.each(d); err != nil {
					return err
				}
			}
		}
	}
}

// accesses folds every customer as it is and as it would be.
func (r *rehearsing) accesses(ctx context.Context) error {
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
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(rehearsalAsks)
		for i, id := range ids {
			group.Go(func() error {
				var err error
				folds[i], err = r.folded(ctx, is, would, id)
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
			for _, d := range f.differences(r.Now()) {
				if err := r.each(d); err != nil {
					return err
				}
			}
		}
		r.tell(fmt.Sprintf("what accesses come to: %d customers so far", r.Players))
	}
}

// folded is a customer before and after.
type folded struct {
	customer      string
	aliased       bool
	before, after map[string]economy.Access // by module
	products      map[economy.PurchaseKey]string
}

func (r *rehearsing) folded(ctx context.Context, is, would *purchases.Store, id string) (folded, error) {
	h, err := would.History(ctx, id)
	if err != nil {
		return folded{}, err
	}
	f := folded{customer: h.Customer.ID, aliased: len(h.Customer.AppUserIDs) > 1, products: map[economy.PurchaseKey]string{}}
	if f.after, err = r.fold(ctx, h, f.products); err != nil {
		return f, err
	}
	f.before = map[string]economy.Access{}
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
		accesses, err := r.fold(ctx, was, f.products)
		if err != nil {
			return f, err
		}
		for module, access := range accesses {
			if had, ok := f.before[module]; !ok || longer(access, had) {
				f.before[module] = access
			}
		}
	}
	return f, nil
}

// fold returns what a history comes to, by module.
func (r *rehearsing) fold(ctx context.Context, h purchases.History, products map[economy.PurchaseKey]string) (map[string]economy.Access, error) {
	if h.CatalogVersion == 0 {
		return nil, errors.New("no catalogue was ever loaded, so nobody can say what a purchase brings: sluice serve loads it at its start")
	}
	versions := map[int64]economy.Catalog{}
	for _, p := range h.Purchases {
		products[p.Key] = p.Product.Value
		for _, version := range []int64{p.CatalogVersion, h.CatalogVersion} {
			if _, loaded := versions[version]; loaded || version == 0 {
				continue
			}
			catalog, err := r.Catalogs.Catalog(ctx, version)
			if err != nil {
				return nil, err
			}
			versions[version] = catalog
		}
	}
	bought := h.Bought(func(p purchases.Recorded) (economy.Package, int64, bool) {
		for _, version := range []int64{p.CatalogVersion, h.CatalogVersion} {
			if bundle, ok := versions[version].PackageOf(p.Key.Store, p.Product.Value); ok {
				return bundle, version, true
			}
		}
		return economy.Package{}, 0, false
	}, slices.ContainsFunc(r.Testers, h.Customer.Has))
	accesses := map[string]economy.Access{}
	for _, access := range economy.Fold(h.Customer, bought).Accesses {
		accesses[access.Module] = access
	}
	return accesses, nil
}

// differences are the accesses that are held only before or only after, and those
// that end at another time.
func (f folded) differences(now time.Time) []Difference {
	var list []Difference
	modules := slices.Sorted(maps.Keys(f.after))
	for module := range f.before {
		if _, also := f.after[module]; !also {
			modules = append(modules, module)
		}
	}
	for _, module := range modules {
		before, after := f.before[module], f.after[module]
		d := Difference{Player: f.customer, Module: module, Purchase: after.Purchase, Until: after.ExpiresAt, UntilBefore: before.ExpiresAt}
		switch was, is := held(before, now), held(after, now); {
		case !was && is:
			d.What = "access_granted"
		case was && !is:
			d.What, d.Purchase = "access_revoked", before.Purchase
		case was && is && !before.ExpiresAt.Equal(after.ExpiresAt):
			d.What = "access_moved"
		default:
			continue
		}
		d.Product = cmp.Or(f.products[d.Purchase], "?")
		list = append(list, d)
	}
	return list
}

func held(a economy.Access, now time.Time) bool {
	return a.State == economy.AccessGranted && (a.ExpiresAt.IsZero() || a.ExpiresAt.After(now))
}

func longer(a, b economy.Access) bool {
	if a.State != b.State {
		return a.State == economy.AccessGranted
	}
	return a.ExpiresAt.IsZero() || !b.ExpiresAt.IsZero() && a.ExpiresAt.After(b.ExpiresAt)
}
