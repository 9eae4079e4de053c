//go:build !race

// The race detector changes what is allocated: pools forget at random under it.
// `make allocations` runs this apart.

package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
)

const (
	// allocationsGolden is the figure of the last change that meant to change it.
	allocationsGolden = "testdata/allocations.txt"
	// allocationsMore is by how much it may be exceeded. Runs on a busy and on a quiet
	// machine differ by less than 2 %.
	allocationsMore = 0.10
)

// TestASpendAllocatesNoMoreThanItDid: what the process of all roles allocates for a
// spend over its three hops, from the request to the answer that it is fulfilled,
// one spend after the other, so that batches do not depend on the machine. What the
// process allocates in the same time when nothing is asked of it is taken off.
func TestASpendAllocatesNoMoreThanItDid(t *testing.T) {
	const spends, warmUp = 300, 100
	simulator := freeAddr(t)
	s := newSite(t, "SLUICE_REVENUECAT_URL=http://"+simulator+"/v2", "SLUICE_REVENUECAT_SECRET_KEY=sk", "SLUICE_REVENUECAT_PROJECT_ID=proj_sim",
		"SLUICE_PLAYER_RATE=0").seed()
	s.simAddr = simulator
	launch(t, s.env, "simulate", "--addr", simulator)
	s.up()
	for player := range 20 {
		s.give(fmt.Sprintf("player-%d", player), economy.Amounts{"GEM": 1_000_000})
	}
	buy := func(from, to int) {
		for i := from; i < to; i++ {
			r := s.spend(t, fmt.Sprintf("player-%d", i%20), "extra_life", fmt.Sprint(i), "Prefer", "wait=30")
			require.Equal(t, http.StatusOK, r.code, r)
		}
	}
	buy(0, warmUp)
	before := s.mallocs()
	buy(warmUp, warmUp+spends)
	loaded := s.mallocs()
	<-time.After(loaded.at.Sub(before.at)) // what happens meanwhile is what is measured
	idle := s.mallocs()

	background := (idle.count - loaded.count) * loaded.at.Sub(before.at).Seconds() / idle.at.Sub(loaded.at).Seconds()
	got := (loaded.count - before.count - background) / spends
	t.Logf("%.0f allocations per spend, beside %.0f a second in the background", got, background/loaded.at.Sub(before.at).Seconds())
	if os.Getenv("SLUICE_UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(allocationsGolden), 0o755))
		require.NoError(t, os.WriteFile(allocationsGolden, fmt.Appendf(nil, "%.0f allocations per spend over three hops, measured by %s; written by SLUICE_UPDATE_GOLDEN=1 make allocations\n", got, t.Name()), 0o644))
		return
	}
	golden, err := os.ReadFile(allocationsGolden)
	require.NoError(t, err, "is it missing? SLUICE_UPDATE_GOLDEN=1 make allocations")
	var want float64
	_, err = fmt.Sscan(string(golden), &want)
	require.NoError(t, err)
	require.LessOrEqual(t, got, want*(1+allocationsMore),
		"a spend allocates %.0f times, %.0f %% more than the %.0f in %s: find out why (sluice bench spend --profile), or, if it is worth it, run SLUICE_UPDATE_GOLDEN=1 make allocations and say so in the commit",
		got, 100*(got/want-1), want, allocationsGolden)
	if got < want*(1-allocationsMore) {
		t.Logf("that is %.0f %% less than %s says: run SLUICE_UPDATE_GOLDEN=1 make allocations, so that it stays so", 100*(1-got/want), allocationsGolden)
	}
}

// mallocs is how often the service's process has allocated, and when it was asked.
type mallocs struct {
	count float64
	at    time.Time
}

func (s *site) mallocs() mallocs {
	s.t.Helper()
	answer, err := s.client.Get("http://" + s.apiAddr + "/metrics")
	require.NoError(s.t, err)
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "go_memstats_mallocs_total "); ok {
			m := mallocs{at: time.Now()}
			_, err := fmt.Sscan(rest, &m.count)
			require.NoError(s.t, err)
			return m
		}
	}
	require.Fail(s.t, "no go_memstats_mallocs_total")
	return mallocs{}
}
