package main

import (
	"math"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

// TestPlayersInTroubleSlowNobodyDown: beside 100 players there are one without a gem
// who presses 20 times a second, and one whose customer the provider keeps locked.
// The 100 wait no longer than before, at the 99th percentile of one and the same run.
// The time is compared in `make long`, which takes minutes; a short run only shows
// that everybody gets an answer.
func TestPlayersInTroubleSlowNobodyDown(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	players, _ := s.rich(100)
	s.give("stuck", riches)
	s.give("penniless", economy.Amounts{"GEM": 0})
	db := s.database()
	const healthy = `{"delay":"20ms"}`
	s.faults(healthy)
	lasts := longer(time.Second, 20*time.Second)
	var alone, beside []time.Duration
	begged := 0
	normal := func(name string) []time.Duration {
		p, stop := s.drip(t, name, players, time.Second/20, "wait=30")
		pass(t, lasts)
		stop()
		require.Empty(t, p.strange)
		return p.took
	}
	normal("warm up")
	for round := range longer(1, 3) { // in turn, so that a change of the machine's own load hits both
		name := strconv.Itoa(round)
		alone = append(alone, normal("alone "+name)...)

		release := s.lock(t, "stuck")
		s.faults(healthy)
		stuck := s.spend(t, "stuck", "extra_life", name, "Prefer", "respond-async")
		adjustmentWhere(t, db, "stuck", "state = 'open' AND attempts > 1")
		begging, stop := s.drip(t, "beg "+name, []string{"penniless"}, time.Second/20, "respond-async")
		beside = append(beside, normal("beside "+name)...)
		stop()
		require.Contains(t, s.get(t, "stuck", "/spends/"+stuck.Spend.ID).raw, `"requested"`, "it was not in trouble: this tests nothing")
		release()
		begged += int(begging.answered.Load())
		awaitRest(t, db, time.Minute)
	}
	require.Positive(t, begged)
	require.Equal(t, begged, count(t, db, "SELECT count(*) FROM spends WHERE app_user_id = 'penniless' AND state = 'declined'"))

	ratio := float64(percentile99(beside)) / float64(percentile99(alone))
	t.Logf("p99 alone %s, beside them %s: %.2f", percentile99(alone), percentile99(beside), ratio)
	require.Less(t, ratio, longer(math.Inf(1), 1.25))
}

func percentile99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}
