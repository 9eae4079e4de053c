package monitor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// CollectWebhooks collects the metrics of webhooks as of a moment.
func (c Collector) CollectWebhooks(ch chan<- prometheus.Metric, now time.Time) {
	c.collectWebhooks(context.Background(), ch, now)
}
