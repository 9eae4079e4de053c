package rcwebhook

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

// metrics counts webhooks.
type metrics struct {
	webhooks *prometheus.CounterVec
	refusals *prometheus.CounterVec
	duration *prometheus.HistogramVec
	last     atomic.Int64 // when the last authentic one came, in nanoseconds since 1970; 0: never
}

// newMetrics registers the metrics with registry, which must not have them yet; nil
// registers them nowhere.
func newMetrics(registry prometheus.Registerer, last time.Time, now func() time.Time) *metrics {
	factory := promauto.With(registry)
	m := &metrics{
		webhooks: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_webhooks_total",
			Help: "Webhooks by type (unknown: one we do not know, none: it was not read) and verdict: accepted, about_nobody (kept, it names no player), duplicate, refused_environment, client_gone, or the type of the problem (webhook-not-an-event: kept as undecodable).",
		}, []string{"type", "verdict"}),
		refusals: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_webhook_refusals_total", Help: "Webhooks that are not authentic, by what was wrong.",
		}, []string{"reason"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_webhook_duration_seconds", Help: "Time from the header's arrival to the answer, by verdict.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"verdict"}),
	}
	if !last.IsZero() {
		m.last.Store(last.UnixNano())
	}
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sluice_webhook_last_age_seconds", Help: "Time since this process took an authentic webhook, or since the last one before it started; NaN: never.",
	}, func() float64 {
		last := m.last.Load()
		if last == 0 {
			return math.NaN()
		}
		return now().Sub(time.Unix(0, last)).Seconds()
	})
	return m
}

// authentic notes when an authentic webhook came.
func (m *metrics) authentic(at time.Time) { m.last.Store(at.UnixNano()) }

func (m *metrics) told(t webhooks.Type, verdict string, took time.Duration) {
	m.webhooks.WithLabelValues(typeLabel(t), verdict).Inc()
	m.duration.WithLabelValues(verdict).Observe(took.Seconds())
}

// typeLabel keeps the label to the types we know: the set is the provider's, and open.
func typeLabel(t webhooks.Type) string {
	switch {
	case t == "":
		return "none"
	case t.Known():
		return string(t)
	}
	return "unknown"
}
