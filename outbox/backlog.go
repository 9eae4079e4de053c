package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Owed tells what the outbox still owes one consumer.
type Owed struct {
	Consumer  string        `db:"consumer"`
	Lane      string        `db:"lane"`
	Rows      int64         `db:"rows"`
	Parked    int64         `db:"parked"` // of them, waiting for their due time
	OldestAge time.Duration `db:"-"`      // how long the oldest has been owed, parked or not
	AgeMillis float64       `db:"age_ms"`
}

// ReadOwed returns what is owed per consumer and lane, by PostgreSQL's clock.
func ReadOwed(ctx context.Context, db *sqlx.DB) ([]Owed, error) {
	var list []Owed
	err := db.SelectContext(ctx, &list, `
		SELECT consumer, lane, count(*) AS rows, count(*) FILTER (WHERE published_at IS NULL) AS parked,
			greatest(coalesce(extract(epoch FROM now() - min(owed_since)) * 1000, 0), 0)::float8 AS age_ms
		FROM outbox GROUP BY consumer, lane ORDER BY consumer, lane`)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	for i := range list {
		list[i].OldestAge = time.Duration(list[i].AgeMillis * float64(time.Millisecond))
	}
	return list, nil
}
