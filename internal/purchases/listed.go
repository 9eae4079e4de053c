package purchases

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Listed is what we know of a customer who stands in a list.
type Listed struct {
	ReadAt   time.Time       // start of the newest whole reading of the customer; zero: there was none
	BoughtAt time.Time       // when the newest purchase that we know was made; zero: we know none
	Products map[string]bool // of the purchases that we know
}

// listedQuery follows the links of each group of ids, and reads what is known of all
// that it finds.
const listedQuery = `WITH RECURSIVE linked(n, id) AS (
		SELECT n, id FROM unnest($1::int[], $2::text[]) AS r(n, id)
		UNION
		SELECT linked.n, other.id FROM linked CROSS JOIN LATERAL (
			SELECT alias_of FROM customer_aliases WHERE app_user_id = linked.id
			UNION ALL SELECT app_user_id FROM customer_aliases WHERE alias_of = linked.id) AS other(id)
	)
	SELECT l.n, max(c.started_at) AS read_at, max(p.bought_at) AS bought_at,
		coalesce(json_agg(DISTINCT p.product_id) FILTER (WHERE p.product_id IS NOT NULL), '[]') AS products
	FROM linked l
	LEFT JOIN customer_readings c ON c.app_user_id = l.id
	LEFT JOIN LATERAL (SELECT product_id, max(purchased_at) AS bought_at FROM purchases WHERE app_user_id = l.id GROUP BY product_id) p ON true
	GROUP BY l.n`

// ReadListed returns what is known of groups of App User IDs, each of which is one
// customer, in their order.
func ReadListed(ctx context.Context, db sqlx.QueryerContext, groups [][]string) ([]Listed, error) {
	var at []int
	var ids []string
	for i, group := range groups {
		for _, id := range group {
			at, ids = append(at, i), append(ids, id)
		}
	}
	var rows []struct {
		N        int             `db:"n"`
		ReadAt   *time.Time      `db:"read_at"`
		BoughtAt *time.Time      `db:"bought_at"`
		Products json.RawMessage `db:"products"`
	}
	if err := sqlx.SelectContext(ctx, db, &rows, listedQuery, postgres.Array(at), postgres.Array(ids)); err != nil {
		return nil, fmt.Errorf("read what is known of listed customers: %w", err)
	}
	known := make([]Listed, len(groups))
	for _, row := range rows {
		var products []string
		if err := json.Unmarshal(row.Products, &products); err != nil {
			return nil, fmt.Errorf("read what is known of listed customers: %w", err)
		}
		k := Listed{ReadAt: moment(row.ReadAt), BoughtAt: moment(row.BoughtAt), Products: make(map[string]bool, len(products))}
		for _, product := range products {
			k.Products[product] = true
		}
		known[row.N] = k
	}
	return known, nil
}

// UnknownLinks returns those of links that are not written down.
func UnknownLinks(ctx context.Context, db sqlx.QueryerContext, list []Link) (map[Link]bool, error) {
	ids, of := make([]string, len(list)), make([]string, len(list))
	for i, link := range list {
		ids[i], of[i] = link.ID, link.Of
	}
	var rows []struct {
		ID string `db:"id"`
		Of string `db:"alias_of"`
	}
	if err := sqlx.SelectContext(ctx, db, &rows, `SELECT r.id, r.alias_of FROM unnest($1::text[], $2::text[]) AS r(id, alias_of)
		WHERE NOT EXISTS (SELECT FROM customer_aliases a WHERE a.app_user_id = r.id AND a.alias_of = r.alias_of)`, postgres.Array(ids), postgres.Array(of)); err != nil {
		return nil, fmt.Errorf("read aliases: %w", err)
	}
	unknown := make(map[Link]bool, len(rows))
	for _, row := range rows {
		unknown[Link{row.ID, row.Of}] = true
	}
	return unknown, nil
}

// WishedFor returns for which of some players a wish for a reason would be a Duplicate
// now: see ResyncAsked.
func WishedFor(ctx context.Context, db sqlx.QueryerContext, reason events.ResyncReason, appUserIDs []string, now time.Time) (map[string]bool, error) {
	var ids []string
	if err := sqlx.SelectContext(ctx, db, &ids, `SELECT app_user_id FROM resync_requests q WHERE app_user_id = ANY($1) AND reason = $2
		AND (q.requested_at <= $3 AND q.next_at > $3 OR EXISTS (SELECT FROM outbox o WHERE o.event_id = q.event_id))`,
		postgres.Array(appUserIDs), string(reason), now); err != nil {
		return nil, fmt.Errorf("read resync requests: %w", err)
	}
	wished := make(map[string]bool, len(ids))
	for _, id := range ids {
		wished[id] = true
	}
	return wished, nil
}
