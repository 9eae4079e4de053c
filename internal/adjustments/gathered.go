package adjustments

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/internal/gather"
	"github.com/sluice-gems/sluice/internal/postgres"
)

const (
	// gatherers is how many reads of turns go on at once: one is on the way while the
	// next is gathered.
	gatherers = 2
	// gatheredMax bounds one read: a worker process works for 64 players at once.
	gatheredMax = 64
)

// Gathered is a Store that reads the turns of many players at once. It is safe for
// concurrent use.
type Gathered struct {
	Store
	reader *gather.Reader[string, Turn]
}

// NewGathered returns a store over db that reads turns by reads, whose connections
// should be set up by postgres.ByKey.
func NewGathered(db, reads *sqlx.DB) *Gathered {
	query := &postgres.Prepared{DB: reads, Query: turnsQuery}
	store := Store{DB: db}
	read := func(ctx context.Context, players []string) (map[string]gather.Answer[Turn], error) {
		limits := slices.Repeat([]int{waitingMax}, len(players))
		return store.turns(query.Queryx(ctx, postgres.Array(players), postgres.Array(limits)))
	}
	return &Gathered{store, gather.New(gatherers, gatheredMax, read)}
}

// Turn implements Turns.
func (g *Gathered) Turn(ctx context.Context, appUserID string, limit int) (Turn, error) {
	if limit != waitingMax { // nobody else's look
		return g.Store.Turn(ctx, appUserID, limit)
	}
	turn, _, err := g.reader.Get(ctx, appUserID)
	return turn, err
}
