package books

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
)

// Catalogs keeps the versions of the catalogue. A version never changes, so each
// is read once. It is safe for concurrent use.
type Catalogs struct {
	db     *sqlx.DB
	mu     sync.Mutex
	loaded map[int64]economy.Catalog
}

// NewCatalogs returns the catalogue's versions kept in db.
func NewCatalogs(db *sqlx.DB) *Catalogs {
	return &Catalogs{db: db, loaded: map[int64]economy.Catalog{}}
}

// Store keeps a catalogue as a version and returns it with its number. The same
// catalogue again, by whichever process, is the same version. What was stored last
// is what the shop sells by now: whoever has no file of its own follows it.
func (c *Catalogs) Store(ctx context.Context, catalog economy.Catalog) (economy.Catalog, error) {
	body, err := economy.CatalogJSON(catalog)
	if err != nil {
		return economy.Catalog{}, fmt.Errorf("store catalogue: %w", err)
	}
	fingerprint, err := economy.CatalogFingerprint(catalog)
	if err != nil {
		return economy.Catalog{}, fmt.Errorf("store catalogue: %w", err)
	}
	_, err = c.db.ExecContext(ctx,
		"INSERT INTO catalog_versions (fingerprint, body) VALUES ($1, $2::jsonb) ON CONFLICT (fingerprint) DO UPDATE SET loaded_at = clock_timestamp()", fingerprint, string(body))
	if err != nil {
		return economy.Catalog{}, fmt.Errorf("store catalogue: %w", err)
	}
	err = c.db.GetContext(ctx, &catalog.Version, "SELECT version FROM catalog_versions WHERE fingerprint = $1", fingerprint)
	if err != nil {
		return economy.Catalog{}, fmt.Errorf("store catalogue: %w", err)
	}
	return catalog, nil
}

// Catalog returns a stored version, or ErrNotFound.
func (c *Catalogs) Catalog(ctx context.Context, version int64) (economy.Catalog, error) {
	c.mu.Lock()
	catalog, ok := c.loaded[version]
	c.mu.Unlock()
	if ok {
		return catalog, nil
	}
	var body []byte
	switch err := c.db.GetContext(ctx, &body, "SELECT body FROM catalog_versions WHERE version = $1", version); {
	case errors.Is(err, sql.ErrNoRows):
		return economy.Catalog{}, fmt.Errorf("catalogue version %d: %w", version, ErrNotFound)
	case err != nil:
		return economy.Catalog{}, fmt.Errorf("read catalogue version %d: %w", version, err)
	}
	catalog, err := economy.CatalogFromJSON(body)
	if err != nil {
		return economy.Catalog{}, fmt.Errorf("catalogue version %d: %w", version, err)
	}
	catalog.Version = version
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loaded[version] = catalog
	return catalog, nil
}
