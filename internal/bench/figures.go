package bench

import (
	"slices"
	"time"
)

// Figure is one figure of a measurement, over all its runs.
type Figure struct {
	Key    string    `json:"key"`
	Unit   string    `json:"unit,omitempty"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"`

	section, label string
}

// Figures are in the order in which they are shown.
type Figures []*Figure

// Of returns the figure of a key; nil: it is not known.
func (f Figures) Of(key string) *Figure {
	for _, figure := range f {
		if figure.Key == key {
			return figure
		}
	}
	return nil
}

// add adds a run's value.
func (f *Figures) add(section, key, label, unit string, value float64) {
	figure := f.Of(key)
	if figure == nil {
		figure = &Figure{Key: key, Unit: unit, section: section, label: label}
		*f = append(*f, figure)
	}
	figure.Runs = append(figure.Runs, value)
	figure.Median, figure.Min, figure.Max = Median(figure.Runs), slices.Min(figure.Runs), slices.Max(figure.Runs)
}

// Median returns the middle of a list that is not empty, the mean of the two when
// there are two.
func Median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// The sections of a report.
const (
	sectionRates   = "rates"
	sectionLatency = "latency"
	sectionCost    = "cost per spend"
	sectionShares  = "CPU of the machine while loaded"
	sectionCommits = "commits"
	sectionBase    = "baseline"
)

// quantiles are what is told of a latency.
var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}}

// addLatency adds the quantiles of a histogram, in milliseconds; nothing when it is
// empty.
func (f *Figures) addLatency(key, label string, h *Histogram) {
	if h.Count() == 0 {
		return
	}
	for _, quantile := range quantiles {
		f.add(sectionLatency, key+"_ms_"+quantile.name, label, "ms", millis(h.Quantile(quantile.q)))
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
