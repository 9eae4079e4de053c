package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

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
	What        string // new, changed, refund, refund_reversed; access_granted, access_revoked, access_moved; item_granted, item_revoked, item_used_up
	Player      string
	Product     string
	Purchase    economy.PurchaseKey
	Module      string    // of an access
	Item        string    // of an item
	Quantity    int64     // of an item, above 0
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

	Items        int64 `json:"items_granted"`       // units that would be handed over
	ItemsRevoked int64 `json:"items_revoked"`       // units that would be taken back
	Consumables  int64 `json:"consumables_granted"` // of items_granted, those of packages that are used up
	UsedUp       int64 `json:"items_used_up"`       // units that would not be handed over, by Command.UsedUpBefore
	Unknown      int64 `json:"unknown_product"`     // of new, those of products that the catalogue does not have
}

// Rehearsed is the answer of a rehearsal.
type Rehearsed struct {
	Counts   Counts              `json:"rows"`
	Players  int64               `json:"players"` // customers with a purchase or link that would change
	Total    Impact              `json:"total"`
	Products []Impact            `json:"products"` // by product
	Refusals []*exports.RowError `json:"-"`        // the first refusalsMax
	// Unreadable are the files that could not be read, or not to their end: what they
	// hold from there on is not in the answer.
	Unreadable []*exports.FileError `json:"-"`
	// ConsumablesSince is when the oldest purchase was made of those that bring Consumables.
	ConsumablesSince time.Time `json:"consumables_since,omitzero"`
}

// refusalsMax bounds the refusals that a rehearsal keeps.
const refusalsMax = 100

const (
	rehearsalPage = 1000
	rehearsalAsks = 32 // histories that are asked for at once; they are read together
)

// Run reads the files and says what recording them would come to. A file that cannot be
// read does not end it, see Rehearsed.Unreadable.
func (r *Rehearsal) Run(ctx context.Context, command Command, files []exports.File) (Rehearsed, error) {
	own, err := purchases.NewRehearsal(ctx, r.Own, purchases.BulkConfig{Lane: events.Bulk, Source: Source, Now: r.Now, UsedUpBefore: command.UsedUpBefore})
	if err != nil {
		return Rehearsed{}, err
	}
	out := rehearsing{Rehearsal: r, own: own, products: map[string]*Impact{}, since: time.Now()}
	for _, file := range files {
		out.run.BytesAll += file.Size
	}
	for _, file := range files {
		err := out.read(ctx, command, file)
		if unreadable, ok := errors.AsType[*exports.FileError](err); ok {
			out.Unreadable = append(out.Unreadable, unreadable)
			continue
		}
		if err != nil {
			return out.Rehearsed, err
		}
	}
	if err := own.Taken(); err != nil {
		return out.Rehearsed, err
	}
	if err := errors.Join(out.purchases(ctx), out.holdings(ctx)); err != nil {
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

// read takes the rows of a file, up to where it cannot be read any further.
func (r *rehearsing) read(ctx context.Context, command Command, file exports.File) error {
	reader, err := command.open(ctx, file, 0, r.Now())
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
		if _, unreadable := errors.AsType[*exports.FileError](err); err != nil && !errors.Is(err, io.EOF) && !unreadable {
			return err
		}
		switch {
		case err != nil:
		case next.skip:
			r.Counts.Skipped++
		default:
			list = append(list, next.statement)
		}
		if err == nil && len(list) < ChunkDefault {
			continue
		}
		plan, failed := r.own.Take(ctx, list)
		if failed != nil {
			return fmt.Errorf("%s: row %d or before it: %w", file.URL, reader.Row(), failed)
		}
		list = list[:0]
		r.Counts.New += int64(plan.New)
		r.Counts.Changed += int64(plan.Changed)
		r.Counts.Same += int64(plan.Unchanged)
		r.Counts.Links += int64(plan.Linked)
		r.Counts.Bytes = before + reader.BytesRead()
		r.tell("")
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
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

// each counts a difference, and tells of it.
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
		case "item_granted":
			impact.Items += d.Quantity
		case "item_revoked":
			impact.ItemsRevoked += d.Quantity
		case "item_used_up":
			impact.UsedUp += d.Quantity
		}
	}
	if r.Each == nil {
		return nil
	}
	return r.Each(d)
}

// purchases tells of every purchase that would change.
func (r *rehearsing) purchases(ctx context.Context) error {
	version, err := purchases.NewStore(r.DB).CurrentCatalog(ctx)
	if err != nil {
		return err
	}
	var catalog economy.Catalog // none: nothing can be folded, which says so
	if version > 0 {
		if catalog, err = r.Catalogs.Catalog(ctx, version); err != nil {
			return err
		}
	}
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
				if _, known := catalog.PackageOf(last.Store, p.Product); !known && p.Product != "" {
					r.of(p.Product).Unknown++
					r.Total.Unknown++
				}
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
