package purchases

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/outbox"
)

// unknownQuery lists the products that were bought and that no catalogue had so far,
// by one look at the index for each.
const unknownQuery = `
WITH RECURSIVE product AS (
	(SELECT store, product_id FROM purchases WHERE catalog_version = 0 AND product_id <> '' ORDER BY store, product_id LIMIT 1)
	UNION ALL
	SELECT next.store, next.product_id FROM product p CROSS JOIN LATERAL (
		SELECT store, product_id FROM purchases WHERE catalog_version = 0 AND product_id <> '' AND (store, product_id) > (p.store, p.product_id)
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

// Unfolded returns the events that have customers folded who bought what no catalogue
// had then, and the given one has: at most limit of them. A fold binds the purchase, so
// a later call returns others. Whoever is to be folded for that already is left out, and
// so is whose fold an operator has to look at.
func (s *Store) Unfolded(ctx context.Context, catalog economy.Catalog, at time.Time, limit int) ([]events.Event, error) {
	var unknown []struct {
		Store   string `db:"store"`
		Product string `db:"product_id"`
	}
	if err := s.db.SelectContext(ctx, &unknown, unknownQuery, unknownMax); err != nil {
		return nil, fmt.Errorf("read unknown products: %w", err)
	}
	var stores, products []string
	for _, u := range unknown {
		if _, ok := catalog.PackageOf(economy.Store(u.Store), u.Product); ok {
			stores, products = append(stores, u.Store), append(products, u.Product)
		}
	}
	if len(stores) == 0 {
		return nil, nil
	}
	var customers []string
	if err := s.db.SelectContext(ctx, &customers, `SELECT DISTINCT p.id FROM unnest($1::text[], $2::text[]) AS k(store, product_id) CROSS JOIN LATERAL (
			SELECT CASE app_user_id WHEN '' THEN buyer ELSE app_user_id END AS id FROM purchases
			WHERE catalog_version = 0 AND product_id <> '' AND store = k.store AND product_id = k.product_id AND (app_user_id <> '' OR buyer <> '')
			LIMIT $3) AS p
		LIMIT $3`, postgres.Array(stores), postgres.Array(products), limit); err != nil {
		return nil, fmt.Errorf("read who bought unknown products: %w", err)
	}
	cause := "catalogue-" + strconv.FormatInt(catalog.Version, 10)
	list, ids := make([]events.Event, len(customers)), make([]string, len(customers))
	for i, id := range customers {
		list[i] = events.NewStoreCustomerChanged(events.Bulk, events.CustomerCatalogue, cause, id, at)
		ids[i] = list[i].ID
	}
	var under []string
	if err := s.db.SelectContext(ctx, &under, `SELECT event_id FROM outbox WHERE event_id = ANY($1)
		UNION SELECT event_id FROM dead_letters WHERE event_id = ANY($1) AND resolved_at IS NULL`, postgres.Array(ids)); err != nil {
		return nil, fmt.Errorf("read who is folded: %w", err)
	}
	known := make(map[string]bool, len(under))
	for _, id := range under {
		known[id] = true
	}
	rest := list[:0]
	for _, event := range list {
		if !known[event.ID] {
			rest = append(rest, event)
		}
	}
	return rest, nil
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
