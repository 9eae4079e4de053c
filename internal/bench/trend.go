package bench

import (
	"math"
	"time"
)

// Trend is how something developed over a soak.
type Trend struct {
	What    string  `json:"what"`
	Unit    string  `json:"unit,omitempty"`
	First   float64 `json:"first"` // after the warm-up
	Last    float64 `json:"last"`
	Mean    float64 `json:"mean"`
	PerHour float64 `json:"per_hour"`           // slope of the least-squares line
	Limit   float64 `json:"limit_per_hour"`     // above it, it grows; 0: it may
	Growing bool    `json:"growing"`            // it should not, and does
	PerUnit float64 `json:"per_spend,omitzero"` // of what grows by design: with every spend
}

// limit is how much a series may grow over the time it was looked at, by its
// least-squares line, before it counts as growing: a share of its mean, and never
// less than a floor, which is what comes and goes without a leak.
type limit struct {
	share float64
	floor float64
}

// sample is a value at a time.
type sample struct {
	at    time.Duration // since the start
	value float64
}

// line fits value = start + slope * seconds by least squares. noise is the standard
// error of the slope.
func line(samples []sample) (slope, noise, mean float64) {
	n := float64(len(samples))
	if n < 3 {
		return 0, math.Inf(1), 0
	}
	var sumX, sumY float64
	for _, s := range samples {
		sumX += s.at.Seconds()
		sumY += s.value
	}
	meanX, meanY := sumX/n, sumY/n
	var xx, xy float64
	for _, s := range samples {
		dx := s.at.Seconds() - meanX
		xx += dx * dx
		xy += dx * (s.value - meanY)
	}
	if xx == 0 {
		return 0, math.Inf(1), meanY
	}
	slope = xy / xx
	var rest float64
	for _, s := range samples {
		d := s.value - meanY - slope*(s.at.Seconds()-meanX)
		rest += d * d
	}
	return slope, math.Sqrt(rest / (n - 2) / xx), meanY
}

// judge tells whether a series grows: its line rises by more than the limit over
// the time looked at, and by more than twice what chance gives a line through values
// that scatter as these do.
func judge(what, unit string, samples []sample, l limit) Trend {
	slope, noise, mean := line(samples)
	t := Trend{What: what, Unit: unit, Mean: mean}
	if len(samples) < 2 {
		return t
	}
	t.First, t.Last = samples[0].value, samples[len(samples)-1].value
	span := (samples[len(samples)-1].at - samples[0].at).Seconds()
	allowed := max(l.share*mean, l.floor)
	t.PerHour, t.Limit = slope*3600, allowed/span*3600
	t.Growing = slope*span > allowed && slope > 2*noise
	return t
}

// grown describes what grows by design, with every spend.
func grown(what string, samples []sample, spends float64) Trend {
	t := judge(what, "bytes", samples, limit{})
	t.Limit, t.Growing = 0, false
	if spends > 0 {
		t.PerUnit = (t.Last - t.First) / spends
	}
	return t
}

// trendsTable shows trends.
func trendsTable(trends []Trend) table {
	if len(trends) == 0 {
		return nil
	}
	shown := table{{"over the soak, after its warm-up", "first", "last", "an hour", "allowed", ""}}
	for _, t := range trends {
		verdict, allowed := "steady", number(t.Limit)
		switch {
		case t.Growing:
			verdict = "GROWING"
		case t.Limit == 0:
			verdict, allowed = "by design: bytes a spend: "+number(t.PerUnit), ""
		}
		what := t.What
		if t.Unit != "" {
			what += ", " + t.Unit
		}
		shown = append(shown, []string{what, number(t.First), number(t.Last), number(t.PerHour), allowed, verdict})
	}
	return shown
}
