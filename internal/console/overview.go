package console

import (
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/monitor"
)

// overviewPage is what overview.html shows; its live parts are sent again and again.
type overviewPage struct {
	Shot  monitor.Snapshot
	Plots []plotCard
}

// plotCard is one plot. Series are members of point.
type plotCard struct {
	Name, Title, Series string
	Least               string // the smallest top of the scale
	Value, Beside       string
}

func (c *Console) overview(q *request) error {
	shot, err := c.Monitor.Snapshot(q.Context())
	if err != nil && shot.At.IsZero() {
		return err
	}
	_, points, _ := c.sampler.state()
	return c.show(q, "overview", "Overview", overviewOf(shot, points))
}

func overviewOf(shot monitor.Snapshot, points []point) overviewPage {
	var last point
	if len(points) > 0 {
		last = points[len(points)-1]
	}
	return overviewPage{Shot: shot, Plots: plotCards(shot, last)}
}

func plotCards(shot monitor.Snapshot, last point) []plotCard {
	rate := func(n *float64) string {
		if n == nil {
			return "…"
		}
		return decimal(*n)
	}
	seconds := func(n *float64) string {
		if n == nil {
			return "none lately"
		}
		return took(time.Duration(*n * float64(time.Second)))
	}
	calls, limit := "none", "no call to the provider yet"
	if shot.Provider != nil {
		switch most := busiest(*shot.Provider); {
		case most.Limit > 0:
			calls, limit = number(most.Used), "calls in the last minute, of "+number(most.Limit)
		case most.Domain != "":
			calls, limit = number(most.Used), "calls in the last minute; its limit is not known"
		}
	}
	owed, oldest := "not known", "not known"
	if o := shot.Outbox; o != nil {
		owed, oldest = number(o.Owed), "none"
		if o.OldestAge > 0 {
			oldest = took(time.Duration(o.OldestAge))
		}
	}
	beside := "accepted to finished; 99 of 100 within " + seconds(last.Slow)
	if last.Median == nil {
		beside = "accepted to finished"
	}
	return []plotCard{
		{"accepted", "Accepted", "accepted", "1", rate(last.Accepted), "spends a second"},
		{"finished", "Finished", "finished", "1", rate(last.Finished), "spends a second"},
		{"latency", "Time to the end", "median slow", "0.05", seconds(last.Median), beside},
		{"oldest", "Oldest unfinished delivery", "oldest", "5", oldest, "since it was owed"},
		{"owed", "Unfinished deliveries", "owed", "10", owed, "owed by the outbox"},
		{"budget", "Calls to the provider", "used limit", "10", calls, limit},
	}
}

// decimal writes a rate: two digits that matter, no false precision.
func decimal(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 10:
		return fmt.Sprintf("%.1f", n)
	}
	return number(int64(n + 0.5))
}
