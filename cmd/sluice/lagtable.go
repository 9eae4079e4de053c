package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/monitor"
)

// print writes what was read.
func (c lagCommand) print(io stdio, s monitor.Snapshot) error {
	if c.JSON && c.Watch {
		return json.NewEncoder(io.Out).Encode(s)
	}
	if c.JSON {
		return printJSON(io, s)
	}
	if c.Watch {
		_, _ = fmt.Fprintln(io.Out, s.At.Format(time.RFC3339))
	}
	w := table(io, "CONSUMER\tLANE\tMESSAGES\tIN HAND\tREDELIVERED\tOLDEST\tOWED\tPARKED\t")
	for _, lag := range s.Consumers {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%s\n", lag.Consumer, lag.Lane, lag.Messages, lag.InHand, lag.Redelivered,
			readable(lag.OldestAge), lag.Owed, lag.Parked, remark(lag))
		if !c.Partitions {
			continue
		}
		for _, p := range lag.Partitions {
			_, _ = fmt.Fprintf(w, "  partition %02d\t\t\t\t\t%s\t%d\t%d\t\n", p.Partition, readable(p.OldestAge), p.Owed, p.Parked)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, line := range summary(s) {
		if _, err := fmt.Fprintln(io.Out, line); err != nil {
			return err
		}
	}
	return nil
}

// remark says what is wrong with a consumer.
func remark(lag monitor.Lag) string {
	switch {
	case lag.Error != "":
		return lag.Error
	case lag.Paused:
		return "PAUSED"
	case lag.StandsStill():
		return "STALLED for " + readable(lag.Stalled).String()
	}
	return ""
}

// readable leaves digits out of a duration that nobody wants to know.
func readable(s monitor.Seconds) time.Duration {
	d := time.Duration(s)
	if d < time.Minute {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// summary says what the table has no room for: the numbers, then what to make of them.
func summary(s monitor.Snapshot) []string {
	lines := []string{""}
	for _, open := range s.Open {
		if open.Spends > 0 {
			lines = append(lines, fmt.Sprintf("%s %s, the oldest for %s.", plural(open.Spends, "spend is", "spends are"), open.State, readable(open.OldestAge)))
		}
	}
	if p := s.Provider; p != nil {
		lines = append(lines, providerLines(*p)...)
	}
	if w := s.Webhooks; w != nil && w.Silence > 0 {
		lines = append(lines, fmt.Sprintf("The last webhook came %s ago.", time.Duration(w.Silence).Round(time.Second)))
	}
	if len(lines) > 1 {
		lines = append(lines, "")
	}
	return append(lines, verdictLines(s.Verdict)...)
}

// verdictLines are what the console's overview begins with, each with the command that
// mends it or shows what will.
func verdictLines(v monitor.Verdict) []string {
	lines := []string{v.Title + "."}
	for _, f := range v.Remarks {
		lines = append(lines, "  "+f.Tag+": "+f.Text)
		if f.Command != "" {
			lines = append(lines, "    "+f.Command)
		}
	}
	return lines
}

// providerLines say how much of the provider's limit is used, and what waits for it.
func providerLines(p monitor.Provider) []string {
	var lines []string
	for _, b := range p.Budgets {
		line := fmt.Sprintf("RevenueCat, %s: %s in the last minute", strings.ReplaceAll(b.Domain, "_", " "), plural(b.Used, "call", "calls"))
		if b.Limit > 0 {
			line += fmt.Sprintf(" of %d", b.Limit)
		}
		lines = append(lines, line+".")
	}
	if p.Waiting > 0 {
		line := plural(p.Waiting, "adjustment waits", "adjustments wait") + " for RevenueCat"
		if p.ETA > 0 {
			line += fmt.Sprintf(", which its limit allows within %s", readable(p.ETA))
		}
		lines = append(lines, line+".")
	}
	return lines
}
