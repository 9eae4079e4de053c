package bench

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/bench/load"
)

// TestQuantilesAreWithinAPercent of what sorting all durations gives.
func TestQuantilesAreWithinAPercent(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(1, 2))
	for _, spread := range []float64{10, 1e4, 1e7, 1e12} {
		var h Histogram
		var all []time.Duration
		for range 20_000 {
			d := time.Duration(dice.ExpFloat64() * spread)
			h.Add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		require.Equal(t, all[len(all)-1], h.Max())
		require.EqualValues(t, len(all), h.Count())
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			exact := all[max(0, int(q*float64(len(all))+0.5)-1)]
			got := h.Quantile(q)
			require.GreaterOrEqual(t, got, exact)
			require.LessOrEqual(t, float64(got-exact), float64(exact)*0.008, "%v of %v", q, spread)
		}
	}
	var empty Histogram
	require.Zero(t, empty.Quantile(0.5))
	empty.Add(-time.Second)
	require.Zero(t, empty.Quantile(1))
	empty.Add(1<<63 - 1)
	require.EqualValues(t, 1<<63-1, empty.Quantile(1))
}

func TestRunsAreToldByTheirMedian(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2.0, Median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 1.5, Median([]float64{2, 1}), 0)
	var f Figures
	for _, value := range []float64{3, 1, 2} {
		f.add(sectionRates, "a", "A", "1/s", value)
	}
	require.Len(t, f, 1)
	require.Equal(t, &Figure{Key: "a", Unit: "1/s", Median: 2, Min: 1, Max: 3, Runs: []float64{3, 1, 2}, section: sectionRates, label: "A"}, f.Of("a"))
	require.Nil(t, f.Of("b"))
}

// TestABaselineIsComparedRunByRun: noise that hits both leaves the ratio.
func TestABaselineIsComparedRunByRun(t *testing.T) {
	t.Parallel()
	var f Figures
	f.Ratios()
	require.Empty(t, f, "without a baseline there is nothing to compare")
	for _, run := range []float64{1, 10} {
		f.add(sectionBase, "baseline_tps", "", "", 100*run)
		f.add(sectionRates, "accepted_per_second", "", "", 50*run)
		f.add(sectionRates, "fulfilled_while_loaded_per_second", "", "", 25*run)
	}
	f.Ratios()
	require.Equal(t, []float64{0.5, 0.5}, f.Of("accepted_to_baseline").Runs)
	require.Equal(t, []float64{0.25, 0.25}, f.Of("fulfilled_to_baseline").Runs)
}

func TestANoisyMachineIsSaid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		other, stolen float64
		noisy         bool
	}{{5, 0, false}, {14, 1, false}, {14, 2, true}, {40, 0, true}} {
		var f Figures
		f.add(sectionShares, "share_other", "", "%", test.other)
		f.add(sectionShares, "share_stolen", "", "%", test.stolen)
		assert.Equal(t, test.noisy, f.Noise() != "", "%+v", test)
	}
	require.Empty(t, Figures{}.Noise(), "what is not known is not said")
}

func TestTheReportHasEveryFigure(t *testing.T) {
	t.Parallel()
	r := Report{Title: "what", Machine: "where", Notes: []string{"a note"}, Verified: []string{"the books are right"}, Wrong: []string{}}
	for _, section := range []string{sectionRates, sectionCost, sectionShares, sectionCommits, sectionBase} {
		r.Figures.add(section, "key of "+section, "label of "+section, "us", 1234.5)
	}
	var h Histogram
	h.Add(1500 * time.Microsecond)
	r.Figures.addLatency("http", "sent -> answered", &h)
	r.Trends = []Trend{judge("memory", "bytes", rising(100, 0, 10), limitTable), grown("spends", rising(100, 10, 10), 1)}
	var text, raw bytes.Buffer
	require.NoError(t, r.Text(&text))
	require.NoError(t, r.JSON(&raw))
	for _, figure := range r.Figures {
		require.Contains(t, text.String(), figure.label)
		require.Contains(t, raw.String(), `"`+figure.Key+`"`)
	}
	for _, part := range []string{"what", "where", "note: a note", "verified: the books are right", "1,234", "1.50", "p99.9", "memory, bytes", "steady", "by design"} {
		require.Contains(t, text.String(), part)
	}
	for line := range strings.Lines(text.String()) {
		require.Equal(t, strings.TrimRight(line, " \n")+"\n", line)
	}
	var back Report
	require.NoError(t, json.Unmarshal(raw.Bytes(), &back))
	require.InDelta(t, 1.5, back.Figures.Of("http_ms_p50").Median, 0.001)
	require.NoError(t, r.Err())
	r.Wrong = []string{"NOT SO: x"}
	require.ErrorContains(t, r.Err(), "the books are wrong")
	text.Reset()
	require.NoError(t, r.Text(&text))
	require.Contains(t, text.String(), "NOT SO: x")
	require.NotContains(t, text.String(), "verified")
}

func TestNumbersAreShort(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{
		0: "0", 0.05: "0.05", 1.5: "1.50", 12.34: "12.3", 123.4: "123", 1234.5: "1,234", 1234567: "1,234,567", -1234: "-1,234", -123456: "-123,456", 7: "7",
	} {
		assert.Equal(t, want, number(value))
	}
}

// TestWhatTheServiceDidNotDoIsAFailure, by the worst of the runs.
func TestWhatTheServiceDidNotDoIsAFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		accepted, drained []float64
		within            time.Duration
		says              string // "": nothing is amiss
	}{
		{[]float64{1}, []float64{0}, 10 * time.Second, ""},
		{[]float64{9, 9}, []float64{3, 10}, 10 * time.Second, ""},
		{[]float64{9, 9}, []float64{3, 10.5}, 10 * time.Second, "drained in 10.5 s, more than 10s"},
		{[]float64{9}, []float64{3600}, 0, ""},
		{[]float64{9, 0}, []float64{0, 0}, 0, "no request accepted"},
		{nil, nil, 0, "no request accepted"},
	} {
		var f Figures
		for i, n := range test.accepted {
			f.add(sectionRates, keyAccepted, "", "", n)
			f.add(sectionRates, keyDrained, "", "s", test.drained[i])
		}
		report := Report{Figures: f, Missed: f.judge(test.within)}
		var text bytes.Buffer
		require.NoError(t, report.Text(&text))
		if test.says == "" {
			require.NoError(t, report.Err())
			require.NotContains(t, text.String(), "NOT SO")
			continue
		}
		require.ErrorContains(t, report.Err(), test.says)
		require.Contains(t, text.String(), "NOT SO: ")
	}
}

// TestEveryAnswerIsCounted: accepted, to come again later, another status, or none; and
// what was not final when the load stopped.
func TestEveryAnswerIsCounted(t *testing.T) {
	t.Parallel()
	second := int64(time.Second)
	r := &result{phase: &phase{loaded: loaded{Summary: load.Summary{Started: 0, Ended: 10 * second, Sent: 7, Broken: 1}}}}
	for _, status := range []int{202, 202, 429, 400, 400, 402, 0} {
		record := load.Record{Answered: second, Answer: load.Answer{Status: status}}
		if status == 202 {
			record.ID = uuid.New()
		}
		r.records = append(r.records, record)
	}
	for _, end := range []int64{9 * second, 14 * second} {
		r.spends = append(r.spends, ended{r.records[0], times{State: "fulfilled"}, end})
	}
	var f Figures
	r.rates(&f)
	for key, want := range map[string]float64{
		"accepted": 2, "refused_for_now": 1, "other_answers": 3, "other_answers_400": 2, "other_answers_402": 1, "unanswered": 1,
		"left_after_load": 1, "drained_after_seconds": 4, "fulfilled_while_loaded_per_second": 0.1,
	} {
		require.InDelta(t, want, f.Of(key).Median, 0.001, key)
	}
}
