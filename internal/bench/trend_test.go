package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
)

// rising returns an hour of samples from a first value, a step a minute, each off by
// up to scatter.
func rising(first, step, scatter float64) []sample {
	dice := rand.New(rand.NewPCG(3, 4))
	list := make([]sample, 60)
	for i := range list {
		list[i] = sample{time.Duration(i) * time.Minute, first + step*float64(i) + scatter*(2*dice.Float64()-1)}
	}
	return list
}

// TestOnlyWhatGrowsIsGrowing: a leak is found under noise, and noise, a saw and a
// bit more are not taken for one.
func TestOnlyWhatGrowsIsGrowing(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	saw := rising(0, 0, 0)
	for i := range saw {
		saw[i].value = float64(i%7) * 100
	}
	lower := limit{share: 0.1, floor: mega}
	for _, test := range []struct {
		name    string
		samples []sample
		limit   limit
		growing bool
	}{
		{"flat", rising(100*mega, 0, 0), lower, false},
		{"scattered", rising(100*mega, 0, 30*mega), lower, false},
		{"a leak", rising(100*mega, mega, 0), lower, true},
		{"a leak under noise", rising(100*mega, mega, 20*mega), lower, true},
		{"a bit more, below the share", rising(100*mega, mega/10, 0), lower, false},
		{"much of little, below the floor", rising(1000, 100, 0), lower, false},
		{"above the floor", rising(1000, mega/10, 0), lower, true},
		{"shrinking", rising(1000*mega, -mega, 0), lower, false},
		{"a saw", saw, limit{share: 0.1, floor: 10}, false},
		{"two samples say nothing", rising(0, 100*mega, 0)[:2], lower, false},
		{"one sample", rising(0, 100*mega, 0)[:1], lower, false},
		{"none", nil, lower, false},
	} {
		got := judge("memory", "bytes", test.samples, test.limit)
		require.Equal(t, test.growing, got.Growing, "%s: %+v", test.name, got)
		require.Equal(t, test.growing, Report{Trends: []Trend{got}}.Err() != nil, test.name)
		require.False(t, math.IsNaN(got.PerHour) || math.IsInf(got.Limit, 0) || math.IsNaN(got.Limit), "%s: %+v", test.name, got)
	}
	slope, noise, mean := line(rising(10, 3, 0))
	require.InDelta(t, 3.0/60, slope, 1e-9)
	require.InDelta(t, 0, noise, 1e-9)
	require.InDelta(t, 10+3*59.0/2, mean, 1e-9)
}

func TestWhatGrowsByDesignIsToldBySpend(t *testing.T) {
	t.Parallel()
	got := grown("table spends", rising(0, 60_000, 0), 59)
	require.False(t, got.Growing)
	require.InDelta(t, 60_000, got.PerUnit, 1)
}

// TestTheBeginningOfASoakDoesNotCount, and one that is hardly more than its beginning
// is not judged.
func TestTheBeginningOfASoakDoesNotCount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		length, from time.Duration
		judged       bool
	}{
		{time.Second, 500 * time.Millisecond, false},
		{5 * time.Minute, 150 * time.Second, false},
		{6 * time.Minute, 3 * time.Minute, true},
		{10 * time.Minute, 3 * time.Minute, true},
		{time.Hour, 12 * time.Minute, true},
	} {
		from, judged := soakFrom(test.length)
		require.Equal(t, test.from, from, test.length)
		require.Equal(t, test.judged, judged, test.length)
	}
	leak := &sampler{list: []*series{{what: "memory", limit: limitTable, samples: rising(1<<20, 1<<20, 0)}}}
	require.True(t, leak.trends(0, time.Hour, 1, true)[0].Growing)
	require.False(t, leak.trends(0, time.Hour, 1, false)[0].Growing)
	steady := &sampler{list: []*series{{what: "memory", limit: limitTable, samples: append(rising(1<<20, 1<<20, 0), sample{2 * time.Hour, 60 << 20}, sample{3 * time.Hour, 60 << 20}, sample{4 * time.Hour, 60 << 20})}}}
	require.False(t, steady.trends(time.Hour+time.Minute, 4*time.Hour, 1, true)[0].Growing, "it grew in its beginning")
}

// TestASamplerLooksAtEveryTable, and judges only what was sampled in the time asked
// about.
func TestASamplerLooksAtEveryTable(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	spend(t, db, "bench-1", "fulfilled")
	s := &sampler{site: &Site{DB: db}, started: time.Now()}
	for range 4 {
		s.look(t.Context())
	}
	require.NoError(t, s.failures())
	trends := s.trends(0, time.Hour, 100, true)
	names := map[string]Trend{}
	for _, trend := range trends {
		names["table "+trend.What] = trend
	}
	var tables []string
	require.NoError(t, db.SelectContext(t.Context(), &tables, "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"))
	for _, table := range tables {
		require.Contains(t, names, "table table "+table)
		require.Positive(t, names["table table "+table].Last)
	}
	require.Contains(t, names, "table dead rows of outbox")
	for _, table := range byDesign {
		require.Contains(t, tables, table, "no such table: take it off the list")
	}
	for _, trend := range s.trends(time.Hour, 2*time.Hour, 100, true) {
		require.Zero(t, trend.Last)
	}

	cut, cancel := context.WithCancel(t.Context())
	cancel()
	s.look(cut)
	require.NoError(t, s.failures(), "the end of a soak is no failure")
	s.site = &Site{Roles: []Role{{Name: "gone", Metrics: "http://127.0.0.1:1/metrics"}}}
	s.look(t.Context())
	require.Error(t, s.failures())
}
