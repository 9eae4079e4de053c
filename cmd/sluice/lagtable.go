package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/budget"
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
	case time.Duration(lag.Stalled) >= monitor.StalledAfter:
		return fmt.Sprintf("STALLED: nothing was handed out for %s; does a sluice work run %s?", readable(lag.Stalled), lag.Consumer)
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

// summary says what the table has no room for.
func summary(s monitor.Snapshot) []string {
	lines := []string{""}
	if o := s.Outbox; o != nil && o.Overdue > 0 && time.Duration(o.OverdueAge) >= monitor.StalledAfter {
		lines = append(lines, fmt.Sprintf("OVERDUE: %d parked deliveries should have been published, the first %s ago; does a sluice relay run?", o.Overdue, readable(o.OverdueAge)))
	}
	for _, open := range s.Open {
		if open.Spends > 0 {
			lines = append(lines, fmt.Sprintf("%d spends are %s, the oldest for %s.", open.Spends, open.State, readable(open.OldestAge)))
		}
	}
	if p := s.Provider; p != nil {
		lines = append(lines, providerLines(*p)...)
	}
	if a := s.Attention; a != nil && a.Unknown+a.NeedsOperator+a.Held > 0 {
		lines = append(lines, fmt.Sprintf("ATTENTION: %d unknown, %d need an operator, %d held: sluice spend show --attention", a.Unknown, a.NeedsOperator, a.Held))
	}
	for _, letters := range s.DeadLetters {
		lines = append(lines, fmt.Sprintf("DEAD LETTERS: %s has %d, the oldest for %s: sluice deadletter list", letters.Consumer, letters.Open, readable(letters.OldestAge)))
	}
	if b := s.Books; b != nil {
		if b.Findings > 0 {
			lines = append(lines, fmt.Sprintf("BOOKS: %d findings of the audit: sluice audit", b.Findings))
		}
		for _, d := range b.Drift {
			lines = append(lines, fmt.Sprintf("DRIFT: %d %s of %d customers: sluice reconcile", d.Units, d.Currency, d.Players))
		}
	}
	for _, p := range s.Pauses {
		lines = append(lines, fmt.Sprintf("PAUSED: %s %s, for %s, by %s: %s", p.Scope, p.Name, readable(p.Age), p.Who, p.Reason))
	}
	if w := s.Webhooks; w != nil {
		if w.Silence > 0 {
			lines = append(lines, fmt.Sprintf("The last webhook came %s ago.", time.Duration(w.Silence).Round(time.Second)))
		}
		for _, gap := range w.Suspect {
			lines = append(lines, fmt.Sprintf("SUSPECT: %s.", gap))
		}
	}
	if len(lines) == 1 {
		return nil
	}
	return lines
}

// providerLines say how much of the provider's limit is used, and what waits for it.
func providerLines(p monitor.Provider) []string {
	var lines []string
	for _, b := range p.Budgets {
		line := fmt.Sprintf("RevenueCat, %s: %d calls in the last minute", strings.ReplaceAll(b.Domain, "_", " "), b.Used)
		if b.Limit > 0 {
			line += fmt.Sprintf(" of %d", b.Limit)
		}
		if b.ToldToWait > 0 {
			line += fmt.Sprintf("; it told us to wait %s more", readable(b.ToldToWait))
		}
		lines = append(lines, line+".")
	}
	if p.Waiting > 0 {
		line := fmt.Sprintf("%d adjustments wait for RevenueCat", p.Waiting)
		if p.ETA > 0 {
			line += fmt.Sprintf(", which its limit allows within %s", readable(p.ETA))
		}
		lines = append(lines, line+".")
	}
	if p.Circuit != budget.CircuitClosed {
		lines = append(lines, fmt.Sprintf("CIRCUIT %s: %s; the next call is tried in %s.", p.Circuit, p.CircuitReason, readable(p.ProbeIn)))
	}
	return lines
}
