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
	reader  *gather.Reader[string, Turn]
	waiting *gather.Reader[place, Turn]
}

// place is where a look at a player's line begins.
type place struct {
	appUserID string
	from      int64
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
	waitingQuery := &postgres.Prepared{DB: reads, Query: waitingQuery}
	readWaiting := func(ctx context.Context, places []place) (map[place]gather.Answer[Turn], error) {
		players, from, limits := make([]string, len(places)), make([]int64, len(places)), slices.Repeat([]int{waitingMax}, len(places))
		for i, p := range places {
			players[i], from[i] = p.appUserID, p.from
		}
		turns, err := store.waiting(waitingQuery.Queryx(ctx, postgres.Array(players), postgres.Array(from), postgres.Array(limits)))
		answers := make(map[place]gather.Answer[Turn], len(turns))
		for _, p := range places {
			if turn, ok := turns[p.appUserID]; ok {
				answers[p] = turn
			}
		}
		return answers, err
	}
	return &Gathered{store, gather.New(gatherers, gatheredMax, read), gather.New(gatherers, gatheredMax, readWaiting)}
}

// Waiting implements Turns.
func (g *Gathered) Waiting(ctx context.Context, appUserID string, from int64, limit int) (Turn, error) {
	if limit != waitingMax {
		return g.Store.Waiting(ctx, appUserID, from, limit)
	}
	turn, _, err := g.waiting.Get(ctx, place{appUserID, from})
	return turn, err
}

// Turn implements Turns.
func (g *Gathered) Turn(ctx context.Context, appUserID string, limit int) (Turn, error) {
	if limit != waitingMax { // nobody else's look
		return g.Store.Turn(ctx, appUserID, limit)
	}
	turn, _, err := g.reader.Get(ctx, appUserID)
	return turn, err
}
