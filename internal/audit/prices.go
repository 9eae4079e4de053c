package audit

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
)

// catalogs are all versions of the catalogue.
type catalogs map[int64]economy.Catalog

// price reports whether a cost is what an item costs by its version. A grant has no
// price: what it gives is its cost.
func (c catalogs) price(kind string, version int64, item string, quantity int64, cost economy.Amounts) bool {
	if kind == "grant" {
		return true
	}
	want, err := c[version].Items[item].Price.Times(quantity)
	_, sold := c[version].Items[item]
	return sold && err == nil && want.Equal(cost) && cost.Equal(want)
}

// prices groups spends by what they must cost.
const pricesQuery = `SELECT s.catalog_version, s.item, s.quantity, s.cost, min(s.id::text) AS any, count(*) AS n FROM spends s
	WHERE {s.id} AND s.kind = 'spend' GROUP BY s.catalog_version, s.item, s.quantity, s.cost`

// wrongPrice names the spends of one group.
const wrongPrice = `SELECT 'cost_wrong' AS kind, s.id::text AS subject, 'cost' AS line, '' AS currency, s.app_user_id, 0 AS units, $5 AS detail
	FROM spends s WHERE {s.id} AND s.kind = 'spend' AND s.catalog_version = $1 AND s.item = $2 AND s.quantity = $3 AND s.cost = $4::jsonb`

// costs names the spends in scope that do not cost what the catalogue says.
func (b *snapshot) costs(ctx context.Context, s scope) ([]Finding, error) {
	var groups []struct {
		Version  int64  `db:"catalog_version"`
		Item     string `db:"item"`
		Quantity int64  `db:"quantity"`
		Cost     []byte `db:"cost"`
		Any      string `db:"any"`
		N        int64  `db:"n"`
	}
	if err := b.read(ctx, s, &groups, pricesQuery); err != nil {
		return nil, fmt.Errorf("audit prices: %w", err)
	}
	var found []Finding
	for _, g := range groups {
		cost, err := books.DecodeAmounts(g.Cost)
		if err != nil {
			return nil, fmt.Errorf("audit prices: %w", err)
		}
		if b.prices.price("spend", g.Version, g.Item, g.Quantity, cost) {
			continue
		}
		detail := fmt.Sprintf("costs %s, and version %d of the catalogue does not have %s", cost, g.Version, g.Item)
		if item, sold := b.prices[g.Version].Items[g.Item]; sold {
			detail = fmt.Sprintf("costs %s; version %d of the catalogue sells %s at %s, and this is %d", cost, g.Version, g.Item, item.Price, g.Quantity)
		}
		var list []Finding
		if err := b.read(ctx, s, &list, wrongPrice, g.Version, g.Item, g.Quantity, string(g.Cost), detail); err != nil {
			return nil, fmt.Errorf("audit prices: %w", err)
		}
		found = append(found, list...)
	}
	return found, nil
}

// readPrices reads all versions of the catalogue, and names those that were changed
// since they were stored.
func (b *snapshot) readPrices(ctx context.Context) error {
	var versions []struct {
		Version     int64  `db:"version"`
		Fingerprint string `db:"fingerprint"`
		Body        []byte `db:"body"`
	}
	if err := b.tx.SelectContext(ctx, &versions, "SELECT version, fingerprint, body FROM catalog_versions"); err != nil {
		return err
	}
	b.prices = catalogs{}
	for _, v := range versions {
		catalog, err := economy.CatalogFromJSON(v.Body)
		if err != nil {
			return fmt.Errorf("catalogue version %d: %w", v.Version, err)
		}
		b.prices[v.Version] = catalog
		for id, item := range catalog.Items {
			if item.HandOver.Port == economy.HandOverInventory {
				b.ours[itemOf{v.Version, id}] = true
			}
		}
		if fingerprint, err := economy.CatalogFingerprint(catalog); err != nil || fingerprint != v.Fingerprint {
			b.changed = append(b.changed, Finding{
				Kind: CatalogChanged, Subject: fmt.Sprint(v.Version), Line: "catalogue",
				Detail: fmt.Sprintf("version %d of the catalogue is not what was stored", v.Version),
			})
		}
	}
	return nil
}
