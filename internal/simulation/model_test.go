package simulation

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// What the simulation proves it proves of the model. So the same random effects,
// sensible and not, go to the model and to PostgreSQL: every answer and, after
// each, every table must be the same.
func TestTheModelDoesWhatPostgreSQLDoes(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	met := map[string]int{}
	t.Cleanup(func() {
		for _, what := range []string{"several spends are charged together", "a refusal splits", "an adjustment steps aside"} {
			require.NotZero(t, met[what], what)
		}
	})
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			db := testenv.Postgres(t)
			committer := outbox.NewCommitter(outbox.CommitterConfig{DB: db, Subscriptions: subscriptions, Log: quiet})
			t.Cleanup(committer.Close)
			for _, player := range crowd {
				require.NoError(t, books.New(db).OpenCounter(t.Context(), player, "limited"))
			}
			g := newGenerator(seed)
			seen := map[string]int{}
			for step := range 400 {
				effects := g.next()
				modelled, errModel := g.db.commit(effects)
				result, err := committer.Commit(t.Context(), effects)
				what := fmt.Sprintf("step %d: %s, model: %v %v, PostgreSQL: %v %v", step, effects.Guard.Kind().Name, modelled, errModel, result, err)
				var data *outbox.DataError
				require.Equal(t, errors.As(errModel, &data), errors.As(err, &data), what)
				require.Equal(t, modelled, result, what)
				require.Equal(t, g.tables(), tables(t, db), what)
				g.requireSameReads(t, db, what)
				seen[fmt.Sprintf("%s %v %t", effects.Guard.Kind().Name, result, err != nil)]++
			}
			t.Log(seen)
			mu.Lock()
			defer mu.Unlock()
			for what, n := range g.db.count {
				met[what] += n
			}
		})
	}
}
