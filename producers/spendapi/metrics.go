package spendapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics counts requests and spends.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	spends   *prometheus.CounterVec
	grants   *prometheus.CounterVec
}

// newMetrics registers the metrics with registry, which must not have them yet; nil
// registers them nowhere. waiting returns how many requests wait for an outcome.
func newMetrics(registry prometheus.Registerer, waiting func() int) *metrics {
	factory := promauto.With(registry)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sluice_spend_waiters", Help: "Requests that wait for the outcome of their spend.",
	}, func() float64 { return float64(waiting()) })
	return &metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_http_requests_total", Help: "Requests by route and status; 499 is a client that hung up.",
		}, []string{"route", "status"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_http_request_duration_seconds", Help: "Time from the header's arrival to the end of the answer, with waiting for the outcome.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		spends: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_spends_total", Help: "Answers to POST /spend, and to the entries of batches, by outcome: fulfilled, working, client_gone, or the type of the problem.",
		}, []string{"outcome"}),
		grants: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_grants_total", Help: "Answers to POST /grants by outcome: fulfilled, working, client_gone, or the type of the problem.",
		}, []string{"outcome"}),
	}
}

func (m *metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) spend(outcome string) { m.spends.WithLabelValues(outcome).Inc() }

func (m *metrics) grant(outcome string) { m.grants.WithLabelValues(outcome).Inc() }
