package books

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/gather"
	"github.com/sluice-gems/sluice/internal/postgres"
)

const (
	// gatherers is how many reads go on at once: one is on the way while the next is
	// gathered.
	gatherers = 2
	// gatheredMax bounds one read.
	gatheredMax = 256
)

// Gathered reads single spends for many callers with few queries. It is safe for
// concurrent use.
type Gathered struct {
	reader *gather.Reader[string, economy.Spend]
	recent *Recent
}

// NewGathered returns the spends of db, whose connections should be set up by
// postgres.ByKey; what recent has need not be read.
func NewGathered(db *sqlx.DB, recent *Recent) *Gathered {
	query := &postgres.Prepared{DB: db, Query: "SELECT " + SpendColumns + " FROM spends WHERE id = ANY($1::uuid[])"}
	read := func(ctx context.Context, ids []string) (map[string]gather.Answer[economy.Spend], error) {
		rows, err := query.Queryx(ctx, postgres.Array(ids))
		if err != nil {
			return nil, err
		}
		defer func() { _ = rows.Close() }()
		answers := make(map[string]gather.Answer[economy.Spend], len(ids))
		for rows.Next() {
			var row SpendRow
			if err := rows.Scan(row.Columns()...); err != nil {
				return nil, err
			}
			spend, err := row.Spend()
			answers[row.ID.String] = gather.Answer[economy.Spend]{Value: spend, Err: err}
		}
		return answers, rows.Err()
	}
	return &Gathered{gather.New(gatherers, gatheredMax, read), recent}
}

// Spend returns one spend, or ErrNotFound. An id that is not a UUID is not found.
func (g *Gathered) Spend(ctx context.Context, id string) (economy.Spend, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return economy.Spend{}, ErrNotFound
	}
	if spend, ok := g.recent.take(parsed.String()); ok {
		return spend, nil
	}
	switch spend, ok, err := g.reader.Get(ctx, parsed.String()); {
	case err != nil:
		return economy.Spend{}, fmt.Errorf("read spend: %w", err)
	case !ok:
		return economy.Spend{}, ErrNotFound
	default:
		return spend, nil
	}
}
