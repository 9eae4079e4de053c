package handover

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts requests to endpoints.
type Metrics struct {
	calls          *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
	held           *prometheus.CounterVec
	contradictions *prometheus.CounterVec

	mu      sync.Mutex
	watched []*Endpoint
}

// NewMetrics registers the metrics with registry; nil registers them nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_handover_calls_total", Help: "Requests to endpoints of the game by operation and outcome.",
		}, []string{"endpoint", "operation", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_handover_call_duration_seconds", Help: "Time per request to an endpoint of the game.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"endpoint", "operation"}),
		held: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_handover_held_back_total", Help: "Requests not sent to an endpoint, which come again: circuit (it fails, or asked for a pause) or busy.",
		}, []string{"endpoint", "why"}),
		contradictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_handover_contradictions_total", Help: "Answers of an endpoint that its own check denied.",
		}, []string{"endpoint", "operation"}),
	}
	if registry != nil {
		registry.MustRegister(m.calls, m.seconds, m.held, m.contradictions, m)
	}
	return m
}

var inHandDesc = prometheus.NewDesc("sluice_handover_in_hand_requests",
	"Requests of this process under way at an endpoint.", []string{"endpoint"}, nil)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) { ch <- inHandDesc }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.watched {
		ch <- prometheus.MustNewConstMetric(inHandDesc, prometheus.GaugeValue, float64(len(e.lane.slots)), e.name)
	}
}

// watch exports what is known of an endpoint. What counts mishaps begins at 0, so
// that the first one is a rise.
func (m *Metrics) watch(e *Endpoint) {
	for _, why := range []string{"circuit", "busy"} {
		m.held.WithLabelValues(e.name, why)
	}
	for op := range words {
		m.contradictions.WithLabelValues(e.name, string(op))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watched = append(m.watched, e)
}

func (m *Metrics) called(endpoint string, op Operation, o Outcome, took time.Duration) {
	m.calls.WithLabelValues(endpoint, string(op), string(o.Kind)).Inc()
	m.seconds.WithLabelValues(endpoint, string(op)).Observe(took.Seconds())
}

func (m *Metrics) heldBack(endpoint, why string) { m.held.WithLabelValues(endpoint, why).Inc() }

func (m *Metrics) contradiction(endpoint string, op Operation) {
	m.contradictions.WithLabelValues(endpoint, string(op)).Inc()
}
