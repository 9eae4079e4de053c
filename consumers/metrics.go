package consumers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts deliveries.
type Metrics struct {
	deliveries *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
}

// NewMetrics registers the metrics with registry; nil registers them nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_consumer_deliveries_total", Help: "Deliveries by consumer and outcome.",
		}, []string{"consumer", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_consumer_delivery_duration_seconds", Help: "Time per delivery, commits included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"consumer"}),
	}
	if registry != nil {
		registry.MustRegister(m.deliveries, m.seconds)
	}
	return m
}

func (m *Metrics) delivered(consumer, outcome string, took time.Duration) {
	m.deliveries.WithLabelValues(consumer, outcome).Inc()
	m.seconds.WithLabelValues(consumer).Observe(took.Seconds())
}
