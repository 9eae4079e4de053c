package purchases

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// unknownRow says that a purchase was folded and that no catalogue had its product. A
// fold that finds it again writes nothing. The Effects must touch PurchaseKey.
type unknownRow struct {
	key     economy.PurchaseKey
	product string
	at      time.Time
}

var unknownKind = &outbox.Kind{
	Name:    "unknown_purchase",
	Columns: withKey(outbox.Column{Name: "product_id", Type: "text"}, outbox.Column{Name: "found_at", Type: "timestamptz"}),
	// In key order, so that two commits cannot wait for each other.
	Steps: []outbox.Step{{Name: "upsert", SQL: `INSERT INTO unknown_purchases AS u (transaction_id, store, environment, product_id, found_at)
		SELECT r.transaction_id, r.store, r.environment, r.product_id, r.found_at FROM {rows} r
		ORDER BY r.transaction_id, r.store, r.environment
		ON CONFLICT (transaction_id, store, environment) DO UPDATE SET product_id = excluded.product_id, found_at = excluded.found_at
		WHERE u.product_id <> excluded.product_id`}},
}

func (r unknownRow) Kind() *outbox.Kind { return unknownKind }

func (r unknownRow) AppendTo(c *outbox.Columns, _ string) {
	appendKey(c, r.key)
	c.Text(r.product)
	c.Time(r.at)
}

// sweepQuery deletes candidates that are bound by now, of the next few by key. It waits
// for nobody who writes one of them, and returns the last that it looked at.
const sweepQuery = `
WITH looked AS MATERIALIZED (
	SELECT transaction_id, store, environment FROM unknown_purchases WHERE (transaction_id, store, environment) > ($1, $2, $3)
	ORDER BY transaction_id, store, environment LIMIT $4
), bound AS MATERIALIZED (
	SELECT u.id FROM looked l
	CROSS JOIN LATERAL (SELECT FROM purchases
		WHERE transaction_id = l.transaction_id AND store = l.store AND environment = l.environment AND catalog_version > 0 OFFSET 0) p
	CROSS JOIN LATERAL (SELECT ctid AS id FROM unknown_purchases
		WHERE transaction_id = l.transaction_id AND store = l.store AND environment = l.environment FOR UPDATE SKIP LOCKED) u
), swept AS (
	DELETE FROM unknown_purchases WHERE ctid = ANY (ARRAY(SELECT id FROM bound)) RETURNING 1
)
SELECT transaction_id, store, environment, (SELECT count(*) FROM swept) AS swept FROM looked
ORDER BY transaction_id DESC, store DESC, environment DESC LIMIT 1`

// SweepUnknown forgets purchases of unknown products that a catalogue was found for
// since, among the next few behind a key; the zero key is before the first. It returns
// where to go on: after the last of them, with the zero key. Of another product by now is
// for the fold that is owed for that.
func (s *Store) SweepUnknown(ctx context.Context, after economy.PurchaseKey, limit int) (next economy.PurchaseKey, swept int64, err error) {
	var last struct {
		TransactionID string `db:"transaction_id"`
		Store         string `db:"store"`
		Environment   string `db:"environment"`
		Swept         int64  `db:"swept"`
	}
	switch err := s.db.GetContext(ctx, &last, sweepQuery, after.TransactionID, string(after.Store), string(after.Environment), limit); {
	case errors.Is(err, sql.ErrNoRows):
		return economy.PurchaseKey{}, 0, nil
	case err != nil:
		return after, 0, fmt.Errorf("sweep unknown products: %w", err)
	}
	return economy.PurchaseKey{Store: economy.Store(last.Store), Environment: economy.Environment(last.Environment), TransactionID: last.TransactionID}, last.Swept, nil
}
