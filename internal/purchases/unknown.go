package purchases

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// unknownQuery lists the products that were bought and that no catalogue had so far, some
// of which one has by now, by one look at the index for each.
const unknownQuery = `
WITH RECURSIVE product AS (
	(SELECT store, product_id FROM unknown_purchases ORDER BY store, product_id LIMIT 1)
	UNION ALL
	SELECT next.store, next.product_id FROM product p CROSS JOIN LATERAL (
		SELECT store, product_id FROM unknown_purchases WHERE (store, product_id) > (p.store, p.product_id)
		ORDER BY store, product_id LIMIT 1) AS next
)
SELECT store, product_id FROM product LIMIT $1`

// unknownMax bounds the products that are looked up at once.
const unknownMax = 10_000

// CurrentCatalog returns the version of the catalogue that the shop loaded last; 0: none was.
func (s *Store) CurrentCatalog(ctx context.Context) (version int64, err error) {
	err = s.db.GetContext(ctx, &version, "SELECT coalesce((SELECT version FROM catalog_versions ORDER BY loaded_at DESC, version DESC LIMIT 1), 0)")
	return version, err
}

// product is one of a store's.
type product struct {
	Store   string `db:"store"`
	Product string `db:"product_id"`
}

// unbound lists the products of purchases that no catalogue had when they were folded:
// those that a catalogue has, and those that it lacks.
func (s *Store) unbound(ctx context.Context, catalog economy.Catalog) (has, lacks []product, err error) {
	var list []product
	if err := s.db.SelectContext(ctx, &list, unknownQuery, unknownMax); err != nil {
		return nil, nil, fmt.Errorf("read unknown products: %w", err)
	}
	for _, p := range list {
		if _, ok := catalog.PackageOf(economy.Store(p.Store), p.Product); ok {
			has = append(has, p)
		} else {
			lacks = append(lacks, p)
		}
	}
	return has, lacks, nil
}

// UnknownProduct is a product that was bought and that a catalogue does not have.
type UnknownProduct struct {
	Store     string `db:"store" json:"store"`
	Product   string `db:"product_id" json:"product"`
	Purchases int64  `db:"purchases" json:"purchases"`
}

// Unknown returns the products that were bought and that a catalogue does not have, those
// that were bought most first. What is not folded yet does not count.
func (s *Store) Unknown(ctx context.Context, catalog economy.Catalog) ([]UnknownProduct, error) {
	_, lacks, err := s.unbound(ctx, catalog)
	if err != nil || len(lacks) == 0 {
		return nil, err
	}
	stores, products := columnsOf(lacks)
	var list []UnknownProduct
	if err := s.db.SelectContext(ctx, &list, `SELECT k.store, k.product_id, n.purchases FROM unnest($1::text[], $2::text[]) AS k(store, product_id) CROSS JOIN LATERAL (
			SELECT count(*) AS purchases FROM purchases_of_unknown_products WHERE store = k.store AND product_id = k.product_id) AS n
		WHERE n.purchases > 0 ORDER BY n.purchases DESC, k.store, k.product_id`, postgres.Array(stores), postgres.Array(products)); err != nil {
		return nil, fmt.Errorf("count unknown products: %w", err)
	}
	return list, nil
}

// UnknownWithUnfolded is Unknown with the purchases that are not folded yet. It reads the
// table of purchases from end to end, seconds for millions of them, and gives up after 30:
// for whoever has just brought many.
func (s *Store) UnknownWithUnfolded(ctx context.Context, catalog economy.Catalog) ([]UnknownProduct, error) {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	if _, err := tx.ExecContext(ctx, "SET LOCAL statement_timeout = '30s'; SET LOCAL enable_seqscan = on; SET LOCAL max_parallel_workers_per_gather = 0"); err != nil {
		return nil, fmt.Errorf("count unknown products: %w", err)
	}
	var list []UnknownProduct
	if err := tx.SelectContext(ctx, &list, `SELECT store, product_id, count(*) AS purchases FROM purchases WHERE catalog_version = 0 AND product_id <> ''
		GROUP BY store, product_id ORDER BY purchases DESC, store, product_id LIMIT $1`, unknownMax); err != nil {
		return nil, fmt.Errorf("count unknown products: %w", err)
	}
	return slices.DeleteFunc(list, func(p UnknownProduct) bool {
		_, ok := catalog.PackageOf(economy.Store(p.Store), p.Product)
		return ok
	}), nil
}

func columnsOf(list []product) (stores, products []string) {
	for _, p := range list {
		stores, products = append(stores, p.Store), append(products, p.Product)
	}
	return stores, products
}

// Unfolded returns the events that have customers folded who bought what no catalogue
// had then, and the given one has. A fold binds the purchase, so a later call returns
// others. With those that are owed already they are at most limit; whose fold an operator
// has to look at is left out, and counts for nobody.
func (s *Store) Unfolded(ctx context.Context, catalog economy.Catalog, at time.Time, limit int) ([]events.Event, error) {
	has, _, err := s.unbound(ctx, catalog)
	if err != nil || len(has) == 0 {
		return nil, err
	}
	for ask := limit; ; ask *= 2 {
		customers, err := s.boughtOf(ctx, has, ask)
		if err != nil {
			return nil, err
		}
		bought := len(customers)
		slices.Sort(customers)
		customers = slices.Compact(customers)
		fresh, owed, err := s.notFolded(ctx, catalog, at, customers)
		if err != nil {
			return nil, err
		}
		if len(fresh)+owed >= limit || bought < ask || ask >= unfoldedMax {
			return fresh[:min(len(fresh), max(0, limit-owed))], nil
		}
	}
}

// unfoldedMax bounds the purchases that are looked at, however many dead letters there are.
const unfoldedMax = 100_000

// boughtOf returns whose the purchases of products are that are not bound to a catalogue,
// of at most limit purchases.
func (s *Store) boughtOf(ctx context.Context, list []product, limit int) (customers []string, err error) {
	stores, products := columnsOf(list)
	if err := s.db.SelectContext(ctx, &customers, `SELECT p.id FROM unnest($1::text[], $2::text[]) AS k(store, product_id) CROSS JOIN LATERAL (
			SELECT CASE app_user_id WHEN '' THEN buyer ELSE app_user_id END AS id FROM purchases_of_unknown_products
			WHERE store = k.store AND product_id = k.product_id AND (app_user_id <> '' OR buyer <> '')
			LIMIT $3) AS p
		LIMIT $3`, postgres.Array(stores), postgres.Array(products), limit); err != nil {
		return nil, fmt.Errorf("read who bought unknown products: %w", err)
	}
	return customers, nil
}

// notFolded returns the events of those whose fold is not owed and not dead, and how many
// are owed.
func (s *Store) notFolded(ctx context.Context, catalog economy.Catalog, at time.Time, customers []string) (fresh []events.Event, owed int, err error) {
	cause := "catalogue-" + strconv.FormatInt(catalog.Version, 10)
	list, ids := make([]events.Event, len(customers)), make([]string, len(customers))
	for i, id := range customers {
		list[i] = events.NewStoreCustomerChanged(events.Bulk, events.CustomerCatalogue, cause, id, at)
		ids[i] = list[i].ID
	}
	var under []struct {
		ID   string `db:"event_id"`
		Owed bool   `db:"owed"`
	}
	if err := s.db.SelectContext(ctx, &under, `SELECT event_id, bool_or(owed) AS owed FROM (SELECT event_id, true AS owed FROM outbox WHERE event_id = ANY($1)
		UNION ALL SELECT event_id, false FROM dead_letters WHERE event_id = ANY($1) AND resolved_at IS NULL) u GROUP BY event_id`, postgres.Array(ids)); err != nil {
		return nil, 0, fmt.Errorf("read who is folded: %w", err)
	}
	known := make(map[string]bool, len(under))
	for _, event := range under {
		known[event.ID] = true
		if event.Owed {
			owed++
		}
	}
	for _, event := range list {
		if !known[event.ID] {
			fresh = append(fresh, event)
		}
	}
	return fresh, owed, nil
}

// StillCurrent is the guard of what follows from a version of the catalogue: it is
// the one that the shop loaded last. It changes nothing.
//
// Results: Applied; Stale when another version was loaded since.
type StillCurrent struct{ Version int64 }

var stillCurrentKind = &outbox.Kind{
	Name:    "catalog_current",
	Columns: []outbox.Column{{Name: "version", Type: "bigint"}},
	Steps: []outbox.Step{{Name: "effects", SQL: `SELECT r.effect FROM {rows} r
		WHERE (r.version IN (SELECT version FROM (SELECT version FROM catalog_versions ORDER BY loaded_at DESC, version DESC LIMIT 1) v)) IS TRUE`}},
	Otherwise: outbox.Stale,
}

// Kind implements outbox.Row.
func (s StillCurrent) Kind() *outbox.Kind { return stillCurrentKind }

// AppendTo implements outbox.Row.
func (s StillCurrent) AppendTo(c *outbox.Columns, _ string) { c.Int(s.Version) }

// GuardKey implements outbox.GuardRow.
func (s StillCurrent) GuardKey() string { return "catalogue" }
