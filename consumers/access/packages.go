package access

import (
	"context"
	"errors"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// errNoCatalogue says why nothing can be folded yet. It passes.
var errNoCatalogue = errors.New("no catalogue was ever loaded: sluice serve does it at its start")

// packages tells what the purchases of one history bring.
type packages struct {
	current  economy.Catalog
	versions map[int64]economy.Catalog // those that purchases are bound to
}

// packages loads the versions of the catalogue that a history needs. Each is read
// from the database once in the life of the process.
func (c Consumer) packages(ctx context.Context, h purchases.History) (packages, error) {
	if h.CatalogVersion == 0 {
		return packages{}, errNoCatalogue
	}
	current, err := c.Catalogs.Catalog(ctx, h.CatalogVersion)
	if err != nil {
		return packages{}, err
	}
	p := packages{current, map[int64]economy.Catalog{}}
	for _, purchase := range h.Purchases {
		if version := purchase.CatalogVersion; version > 0 {
			if p.versions[version], err = c.Catalogs.Catalog(ctx, version); err != nil {
				return packages{}, err
			}
		}
	}
	return p, nil
}

// of returns what a purchase's product brings: by the version it is bound to, else,
// or if the purchase was of another product then, by the current one.
func (p packages) of(purchase purchases.Recorded) (economy.Package, int64, bool) {
	for _, catalog := range []economy.Catalog{p.versions[purchase.CatalogVersion], p.current} {
		if bundle, ok := catalog.PackageOf(purchase.Key.Store, purchase.Product.Value); ok {
			return bundle, catalog.Version, true
		}
	}
	return economy.Package{}, 0, false
}

func (p packages) know(purchase purchases.Recorded) bool {
	_, _, ok := p.of(purchase)
	return ok
}
