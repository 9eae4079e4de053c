package purchases

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// heardQuery reads what an event is held against, in one round trip: the purchase
// it is about, and which of the links it tells are new.
const heardQuery = `SELECT json_build_object(
	'purchase', (SELECT to_json(p) FROM (SELECT ` + purchaseColumns + ` FROM purchases WHERE transaction_id = $1 AND store = $2 AND environment = $3) p),
	'unlinked', (SELECT json_agg(l.position) FROM unnest($4::text[], $5::text[], $6::integer[]) AS l(id, of, position)
		WHERE NOT EXISTS (SELECT FROM customer_aliases a WHERE a.app_user_id = l.id AND a.alias_of = l.of)))`

// Heard returns what is known of a purchase, the zero Recorded when nothing is or
// the key is zero, and those of the groups of ids that tell of a link that is not
// written down yet.
func (s *Store) Heard(ctx context.Context, key economy.PurchaseKey, groups [][]string) (known Recorded, unlinked [][]string, err error) {
	ids, of, positions := []string{}, []string{}, []int64{}
	for i, group := range groups {
		for _, link := range links(group) {
			ids, of, positions = append(ids, link[0]), append(of, link[1]), append(positions, int64(i))
		}
	}
	var raw []byte
	err = s.heard.row(ctx, s.db, []any{
		key.TransactionID, string(key.Store), string(key.Environment), postgres.Array(ids), postgres.Array(of), postgres.Array(positions),
	}, &raw)
	if err != nil {
		return known, nil, fmt.Errorf("read %s: %w", key, err)
	}
	var found struct {
		Purchase *purchaseRow `json:"purchase"`
		Unlinked []int        `json:"unlinked"`
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return known, nil, fmt.Errorf("read %s: %w", key, err)
	}
	if found.Purchase != nil {
		if known, err = found.Purchase.recorded(); err != nil {
			return known, nil, err
		}
	}
	for i, group := range groups {
		if slices.Contains(found.Unlinked, i) {
			unlinked = append(unlinked, group)
		}
	}
	return known, unlinked, nil
}
