package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/exports/generator"
)

// spends makes live spends at a steady rate, whatever becomes of the ones before, and
// returns how long each took and how many did not end fulfilled.
func (s *site) spends(world string, perSecond int, stop <-chan struct{}) (took []time.Duration, unfulfilled int) {
	s.t.Helper()
	const players = 100
	tokens := make([]string, players)
	for i := range tokens {
		player := fmt.Sprintf("spender-%d", i)
		tokens[i] = session(s.t, player)
		s.give(player, economy.Amounts{"GEM": 1_000_000})
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	beat := time.NewTicker(time.Second / time.Duration(perSecond))
	defer beat.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			running.Wait()
			return took, unfulfilled
		case <-beat.C:
		}
		running.Go(func() {
			r, err := s.send(http.MethodPost, "/spend", fmt.Sprintf(`{"item":"extra_life","idempotencyKey":"%s-%d"}`, world, i),
				"Authorization", "Bearer "+tokens[i%players], "Content-Type", "application/json")
			mu.Lock()
			defer mu.Unlock()
			took = append(took, r.took)
			if err != nil || r.code != http.StatusOK {
				unfulfilled++
			}
		})
	}
}

// quantile returns the q-quantile of durations.
func quantile(list []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// comparison holds the times of spends beside some work against those of the same run
// before it: p50 within 25 %, p99 within twice as much or 15 ms more; medians of rounds.
type comparison struct {
	perSecond int
	quiet     time.Duration // for how long they are made before it: long enough for what runs once a minute

	beyond50, beyond99 []time.Duration // how far they were beyond what is allowed
	said               []string
}

// round makes spends, and then more of them until work returns.
func (c *comparison) round(s *site, world string, work func()) {
	s.t.Helper()
	ended := make(chan struct{})
	timer := time.AfterFunc(c.quiet, func() { close(ended) })
	defer timer.Stop()
	before, lost := s.spends(world+"-before", c.perSecond, ended)
	require.Zero(s.t, lost)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	during, lost := s.spends(world+"-during", c.perSecond, done)
	require.Zero(s.t, lost, "every spend ended in its item")
	a50, a99, b50, b99 := quantile(before, 0.5), quantile(before, 0.99), quantile(during, 0.5), quantile(during, 0.99)
	c.said = append(c.said, fmt.Sprintf("%s: before p50 %s p99 %s (%d), during p50 %s p99 %s (%d)", world, a50, a99, len(before), b50, b99, len(during)))
	s.t.Log(c.said[len(c.said)-1])
	c.beyond50, c.beyond99 = append(c.beyond50, b50-a50*5/4), append(c.beyond99, b99-max(2*a99, a99+15*time.Millisecond))
}

// require fails when the medians were beyond what is allowed.
func (c *comparison) require(t testing.TB) {
	t.Helper()
	require.LessOrEqual(t, quantile(c.beyond50, 0.5), time.Duration(0), "p50 beyond 25 %%: %q", c.said)
	require.LessOrEqual(t, quantile(c.beyond99, 0.5), time.Duration(0), "p99 beyond twice or 15 ms: %q", c.said)
}

// TestABackfillLeavesPlayersAlone: an export is read, and what it brings folded, while
// players spend. Long, it is of 1,000,000 rows, and the spends' times are compared.
// Consumers would take longer than the reading: it does not wait for them.
func TestABackfillLeavesPlayersAlone(t *testing.T) {
	long := os.Getenv("E2E_LONG") != ""
	rows, rounds, c := 10_000, 1, comparison{perSecond: 20, quiet: time.Second}
	if long {
		rows, rounds, c = 1_000_000, 3, comparison{perSecond: 100, quiet: 90 * time.Second}
	} else {
		t.Parallel()
	}
	rows = sizeFromEnv(t, "E2E_ROWS", rows)
	export := filepath.Join(t.TempDir(), "transactions.csv.gz")
	file, err := os.Create(export)
	require.NoError(t, err)
	_, err = generator.Write(file, generator.Options{Seed: 1, Rows: int64(rows), Format: generator.Gzip, Until: time.Now().AddDate(0, 0, -1)})
	require.NoError(t, err)
	require.NoError(t, file.Close())
	for round := range rounds { // each on a database of its own
		t.Run(fmt.Sprintf("round%d", round), func(t *testing.T) {
			s := newSite(t).seed().up()
			db := s.database()
			c.round(s, "", func() {
				began := time.Now()
				p := launch(t, s.env, "backfill", "transactions", "--backlog", "0", "--rejects", filepath.Join(s.folder, "rejected.csv"), export)
				<-p.ended
				assert.True(t, p.cmd.ProcessState.Success(), "%s%s", p.out.String(), p.log.tail())
				t.Logf("%.0f rows/s", float64(rows)/time.Since(began).Seconds())
			})
			var recorded, unfulfilled int
			require.NoError(t, db.Get(&recorded, "SELECT sum(row_new + row_changed + row_same) FROM backfill_files"))
			require.Equal(t, rows, recorded)
			require.NoError(t, db.Get(&unfulfilled, "SELECT count(*) FROM spends WHERE state <> 'fulfilled'"))
			require.Zero(t, unfulfilled)
		})
	}
	if long {
		c.require(t)
	}
}

// sizeFromEnv is how many a test makes: as many as the variable says, for a quick look at what one costs.
func sizeFromEnv(t testing.TB, variable string, usual int) int {
	t.Helper()
	said := os.Getenv(variable)
	if said == "" {
		return usual
	}
	n, err := strconv.Atoi(said)
	require.NoError(t, err, variable)
	return n
}
