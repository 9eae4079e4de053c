package monitor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collectPatience bounds what a scrape waits for the broker and the database.
const collectPatience = 3 * time.Second

var (
	lagMessages = prometheus.NewDesc("sluice_consumer_pending_messages",
		"Messages a consumer has not finished.", []string{"consumer", "lane"}, nil)
	lagAge = prometheus.NewDesc("sluice_consumer_oldest_age_seconds",
		"Age of the oldest message or due delivery a consumer has not finished.", []string{"consumer", "lane"}, nil)
	outboxRows = prometheus.NewDesc("sluice_outbox_owed_rows",
		"Deliveries the outbox owes.", []string{"consumer", "lane"}, nil)
	outboxParked = prometheus.NewDesc("sluice_outbox_parked_rows",
		"Deliveries that wait for a later attempt.", []string{"consumer", "lane"}, nil)
	spendsAttention = prometheus.NewDesc("sluice_spends_attention",
		"Spends that only a person or the provider can settle, by why.", []string{"why"}, nil)
	webhookSilence = prometheus.NewDesc("sluice_webhook_silence_seconds",
		"Time since the last accepted webhook, or since webhooks are taken; absent when they never were.", nil, nil)
	webhookSuspect = prometheus.NewDesc("sluice_webhook_suspect_windows",
		"Times of which webhooks may be missing and that nobody has made up for, by cause: outage, silence.", []string{"cause"}, nil)
	deadLetters = prometheus.NewDesc("sluice_dead_letters_open",
		"Dead letters nobody has resolved.", []string{"consumer"}, nil)
)

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{lagMessages, lagAge, outboxRows, outboxParked, spendsAttention, deadLetters, webhookSilence, webhookSuspect} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector. Numbers that cannot be read are left
// out, so that an alert on their absence works.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if list, err := c.Lag(ctx); err == nil {
		for _, lag := range list {
			if lag.Error == "" {
				gauge(lagMessages, float64(lag.Messages), lag.Consumer, lag.Lane)
				gauge(lagAge, time.Duration(lag.OldestAge).Seconds(), lag.Consumer, lag.Lane)
			}
			gauge(outboxRows, float64(lag.Owed), lag.Consumer, lag.Lane)
			gauge(outboxParked, float64(lag.Parked), lag.Consumer, lag.Lane)
		}
	}
	if counts, err := c.attention(ctx); err == nil {
		gauge(spendsAttention, float64(counts.Unknown), "unknown")
		gauge(spendsAttention, float64(counts.NeedsOperator), "needs_operator")
		gauge(spendsAttention, float64(counts.Held), "held")
	}
	c.collectWebhooks(ctx, ch, time.Now())
	var letters []struct {
		Consumer string `db:"consumer"`
		Count    int64  `db:"count"`
	}
	if err := c.DB.SelectContext(ctx, &letters, "SELECT consumer, count(*) FROM dead_letters WHERE resolved_at IS NULL GROUP BY consumer"); err == nil {
		for _, letter := range letters {
			gauge(deadLetters, float64(letter.Count), letter.Consumer)
		}
	}
}

// collectWebhooks sends how webhooks reach us.
func (c Collector) collectWebhooks(ctx context.Context, ch chan<- prometheus.Metric, now time.Time) {
	webhooks, err := c.Webhooks(ctx, now)
	if err != nil {
		return
	}
	if webhooks.Silence > 0 {
		ch <- prometheus.MustNewConstMetric(webhookSilence, prometheus.GaugeValue, time.Duration(webhooks.Silence).Seconds())
	}
	count := map[string]float64{}
	for _, gap := range webhooks.Suspect {
		count[gap.Cause]++
	}
	for _, cause := range []string{Outage, Silence} {
		ch <- prometheus.MustNewConstMetric(webhookSuspect, prometheus.GaugeValue, count[cause], cause)
	}
}

type attention struct {
	Unknown       int64 `db:"unknown"`
	NeedsOperator int64 `db:"needs_operator"`
	Held          int64 `db:"held"`
}

func (c Collector) attention(ctx context.Context) (attention, error) {
	var counts attention
	err := c.DB.GetContext(ctx, &counts, `SELECT count(*) FILTER (WHERE unknown_since IS NOT NULL) AS unknown,
		count(*) FILTER (WHERE needs_operator <> '') AS needs_operator, count(*) FILTER (WHERE held) AS held
		FROM spends WHERE unknown_since IS NOT NULL OR needs_operator <> '' OR held`)
	return counts, err
}
