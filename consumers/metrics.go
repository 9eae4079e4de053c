package consumers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts deliveries.
type Metrics struct {
	deliveries *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
}

// NewMetrics registers the metrics with registry; nil registers them nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	factory := promauto.With(registry)
	return &Metrics{
		deliveries: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_consumer_deliveries_total", Help: "Deliveries by consumer and outcome.",
		}, []string{"consumer", "outcome"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_consumer_delivery_duration_seconds", Help: "Time per delivery, commits included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"consumer"}),
	}
}

func (m *Metrics) delivered(consumer, outcome string, took time.Duration) {
	m.deliveries.WithLabelValues(consumer, outcome).Inc()
	m.seconds.WithLabelValues(consumer).Observe(took.Seconds())
}
