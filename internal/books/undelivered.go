package books

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// Undelivered is how many spends of an item wait for their item, or for its being
// taken back.
type Undelivered struct {
	CatalogVersion int64         `db:"catalog_version"`
	Item           string        `db:"item"`
	State          economy.State `db:"state"` // Charged or Refunding
	Spends         int64         `db:"spends"`
	Age            float64       `db:"age"` // seconds that the oldest of them has waited, see UndeliveredSpend.Since
}

// undelivered are the spends between charge and end whose item is not settled, with the
// delivery that is owed of them. Those that need an operator wait for nobody else.
const undelivered = `spends s LEFT JOIN outbox o ON o.event_id = s.id::text || '.' || s.state
	WHERE s.finished_at IS NULL AND s.state IN ('charged', 'refunding') AND s.revoked_at IS NULL AND s.needs_operator = ''`

// Undelivered counts the spends between charge and end, by item. It reads open
// spends only.
func (b *Books) Undelivered(ctx context.Context) ([]Undelivered, error) {
	var list []Undelivered
	// What was charged waits since then. Only the others, which are few, are looked up
	// in the outbox.
	err := b.db.SelectContext(ctx, &list, `SELECT catalog_version, item, state, count(*) AS spends, greatest(0, extract(epoch FROM now() - min(since)))::float8 AS age
		FROM (SELECT catalog_version, item, state, charged_at AS since FROM spends
				WHERE finished_at IS NULL AND state = 'charged' AND needs_operator = ''
			UNION ALL
			SELECT s.catalog_version, s.item, s.state, coalesce(o.owed_since, s.charged_at) FROM `+undelivered+` AND s.state = 'refunding') u
		GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`)
	if err != nil {
		return nil, fmt.Errorf("read undelivered spends: %w", err)
	}
	return list, nil
}

// UndeliveredSpend is a spend that waits for its item, or for its being taken back.
type UndeliveredSpend struct {
	economy.Spend
	Since     time.Time // when it was charged, or since when its item is to be taken back
	Owed      bool      // a delivery is owed that tries it; without one it was set aside
	NextAt    time.Time // when it is tried again; zero: it is in the broker, which tries it within seconds
	Attempts  int64     // failed ones, as far as they were written down
	LastError string    // of the last of them; empty: none was written down
}

// UndeliveredAt returns the spends that have waited longest for an endpoint of the game,
// at most limit.
func (b *Books) UndeliveredAt(ctx context.Context, catalogs *Catalogs, endpoint string, limit int) ([]UndeliveredSpend, error) {
	counted, err := b.Undelivered(ctx)
	if err != nil {
		return nil, err
	}
	var items []Undelivered
	for _, u := range counted {
		catalog, err := catalogs.Catalog(ctx, u.CatalogVersion)
		if err != nil {
			return nil, err
		}
		if how := catalog.Items[u.Item].HandOver; how.Port == economy.HandOverHTTP && how.Endpoint == endpoint {
			items = append(items, u)
		}
	}
	return b.UndeliveredOf(ctx, items, limit)
}

// UndeliveredOf returns the spends that have waited longest, at most limit, of those
// items that Undelivered has counted.
func (b *Books) UndeliveredOf(ctx context.Context, items []Undelivered, limit int) ([]UndeliveredSpend, error) {
	versions, names := make([]int64, len(items)), make([]string, len(items))
	for i, u := range items {
		versions[i], names[i] = u.CatalogVersion, u.Item
	}
	var rows []struct {
		ID        string         `db:"id"`
		Since     sql.NullTime   `db:"since"`
		NextAt    sql.NullTime   `db:"next_at"`
		Attempts  sql.NullInt64  `db:"attempts"`
		LastError sql.NullString `db:"last_error"`
	}
	err := b.db.SelectContext(ctx, &rows, `SELECT s.id, CASE WHEN s.state = 'refunding' THEN coalesce(o.owed_since, s.charged_at) ELSE s.charged_at END AS since,
			CASE WHEN o.published_at IS NULL THEN o.due_at END AS next_at, o.attempts, o.last_error
		FROM `+undelivered+` AND (s.catalog_version, s.item) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) ORDER BY since, s.id LIMIT $3`,
		postgres.Array(versions), postgres.Array(names), limit)
	if err != nil {
		return nil, fmt.Errorf("read undelivered spends: %w", err)
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	spends, err := b.many(ctx, "SELECT "+SpendColumns+" FROM spends WHERE id = ANY($1::uuid[])", postgres.Array(ids))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]economy.Spend, len(spends))
	for _, s := range spends {
		byID[s.ID] = s
	}
	list := make([]UndeliveredSpend, 0, len(rows))
	for _, r := range rows {
		if spend, found := byID[r.ID]; found { // or it ended between the two looks
			list = append(list, UndeliveredSpend{
				Spend: spend, Since: r.Since.Time, Owed: r.Attempts.Valid, NextAt: r.NextAt.Time, Attempts: r.Attempts.Int64, LastError: r.LastError.String,
			})
		}
	}
	return list, nil
}
