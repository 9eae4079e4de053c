package monitor

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gems/sluice/economy"
)

// collectPatience bounds what a scrape waits for the broker and the database.
const collectPatience = 2 * readPatience

// Collect implements prometheus.Collector. Numbers that cannot be read are left
// out, so that no alert takes them for 0; sluice_dependency_up tells of it.
func (m *Monitor) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	s, _ := m.Snapshot(ctx) // its errors are what is left out
	s.collect(ch)
}

// gauges sends gauges.
type gauges chan<- prometheus.Metric

func (g gauges) send(desc *prometheus.Desc, value float64, labels ...string) {
	g <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (g gauges) seconds(desc *prometheus.Desc, value Seconds, labels ...string) {
	g.send(desc, time.Duration(value).Seconds(), labels...)
}

// collect sends what was read.
func (s Snapshot) collect(ch gauges) {
	ch.send(dependencyUp, number(s.Reachable.PostgreSQL), "postgresql")
	ch.send(dependencyUp, number(s.Reachable.NATS), "nats")
	for _, lag := range s.Consumers {
		if lag.Error == "" && s.Reachable.NATS {
			ch.send(lagMessages, float64(lag.Messages), lag.Consumer, lag.Lane)
			ch.seconds(lagStalled, lag.Stalled, lag.Consumer, lag.Lane)
		}
		if s.Outbox != nil { // what is in the broker is owed, too, and for longer
			ch.seconds(lagAge, lag.OldestAge, lag.Consumer, lag.Lane)
			ch.send(outboxRows, float64(lag.Owed), lag.Consumer, lag.Lane)
			ch.send(outboxParked, float64(lag.Parked), lag.Consumer, lag.Lane)
		}
		if s.Pauses != nil {
			ch.send(lagPaused, number(lag.Paused), lag.Consumer, lag.Lane)
		}
		for _, p := range lag.Partitions {
			partition := strconv.Itoa(p.Partition)
			ch.send(lagPartition, float64(p.Owed), lag.Consumer, lag.Lane, partition)
			ch.seconds(lagPartitionAge, p.OldestAge, lag.Consumer, lag.Lane, partition)
		}
	}
	if o := s.Outbox; o != nil {
		ch.seconds(outboxAge, o.OldestAge)
		ch.seconds(outboxOverdue, o.OverdueAge)
	}
	for _, open := range s.Open {
		ch.send(spendsOpen, float64(open.Spends), open.State)
		ch.seconds(spendsOpenAge, open.OldestAge, open.State)
	}
	if a := s.Attention; a != nil {
		ch.send(spendsAttention, float64(a.Unknown), "unknown")
		ch.send(spendsAttention, float64(a.NeedsOperator), "needs_operator")
		ch.send(spendsAttention, float64(a.Held), "held")
		ch.seconds(spendsUnknownAge, a.UnknownAge)
	}
	for _, letters := range s.DeadLetters {
		ch.send(deadLetters, float64(letters.Open), letters.Consumer)
		ch.seconds(deadLettersAge, letters.OldestAge, letters.Consumer)
	}
	if s.Pauses != nil {
		for _, scope := range pauseScopes {
			ch.seconds(pausesAge, s.pausedFor(scope), scope)
		}
	}
	if s.Provider != nil {
		s.Provider.collect(ch)
	}
	for _, e := range s.Endpoints {
		e.collect(ch)
	}
	if s.Books != nil {
		s.Books.collect(ch)
	}
	if p := s.Purchases; p != nil {
		ch.send(purchasesUnknown, float64(p.UnknownProduct))
		ch.send(customerConflicts, float64(p.Conflicts))
	}
	if s.Webhooks != nil {
		s.Webhooks.collect(ch)
	}
}

func (e Endpoint) collect(ch gauges) {
	ch.send(handoverCircuit, circuitNumber(e.Circuit), e.Name)
	trouble := Seconds(0)
	if e.Waiting() > 0 {
		trouble = e.TroubleAge
	}
	ch.seconds(handoverTrouble, trouble, e.Name)
	ch.send(handoverWaiting, float64(e.Charged), e.Name, string(economy.Charged))
	ch.send(handoverWaiting, float64(e.Refunding), e.Name, string(economy.Refunding))
	ch.seconds(handoverAge, e.OldestAge, e.Name)
}

func (p Provider) collect(ch gauges) {
	for _, b := range p.Budgets {
		ch.send(budgetLimit, float64(b.Limit), b.Domain)
		ch.send(budgetUsed, float64(b.Used), b.Domain)
		ch.seconds(budgetClosed, b.ToldToWait, b.Domain)
	}
	ch.send(circuitState, circuitNumber(p.Circuit))
	ch.send(backlogCalls, float64(p.Waiting))
	ch.seconds(backlogETA, p.ETA)
}

func (w Webhooks) collect(ch gauges) {
	if w.Silence > 0 {
		ch.seconds(webhookSilence, w.Silence)
	}
	count := map[string]float64{}
	for _, gap := range w.Suspect {
		count[gap.Cause]++
	}
	for _, cause := range []string{Outage, Silence} {
		ch.send(webhookSuspect, count[cause], cause)
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
