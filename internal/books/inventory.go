package books

import (
	"context"
	"fmt"
)

// Held is how many of an item a player holds.
type Held struct {
	Item     string `db:"item" json:"item"`
	Quantity int64  `db:"quantity" json:"quantity"`
}

// Inventory returns what a player holds in our own inventory, sorted by item.
func (b *Books) Inventory(ctx context.Context, appUserID string) ([]Held, error) {
	list := []Held{}
	err := b.db.SelectContext(ctx, &list, `SELECT item, sum(quantity)::bigint AS quantity FROM inventory_grants
		WHERE app_user_id = $1 AND revoked_at IS NULL GROUP BY item ORDER BY item`, appUserID)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	return list, nil
}

// OpenCounter makes sure that a limited item has its counter for a player, which
// Accept locks. A second call changes nothing.
func (b *Books) OpenCounter(ctx context.Context, appUserID, item string) error {
	_, err := b.db.ExecContext(ctx,
		"INSERT INTO item_counters (app_user_id, item) VALUES ($1, $2) ON CONFLICT DO NOTHING", appUserID, item)
	if err != nil {
		return fmt.Errorf("open counter: %w", err)
	}
	return nil
}

// Used returns how many of a limited item a player holds or has under way.
func (b *Books) Used(ctx context.Context, appUserID, item string) (int64, error) {
	var used int64
	err := b.db.GetContext(ctx, &used,
		"SELECT coalesce((SELECT used FROM item_counters WHERE app_user_id = $1 AND item = $2), 0)", appUserID, item)
	if err != nil {
		return 0, fmt.Errorf("read counter: %w", err)
	}
	return used, nil
}
