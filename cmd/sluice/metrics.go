package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// providerMetrics counts calls to the provider.
type providerMetrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newProviderMetrics(registry prometheus.Registerer) *providerMetrics {
	m := &providerMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_provider_calls_total", Help: "Calls to RevenueCat by operation, HTTP status (0: no answer) and outcome.",
		}, []string{"op", "status", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_provider_call_duration_seconds", Help: "Time per call to RevenueCat.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"op"}),
	}
	for _, collector := range []prometheus.Collector{m.calls, m.seconds} {
		if err := registry.Register(collector); err != nil { // serve and work of one process share them
			if existing, ok := err.(prometheus.AlreadyRegisteredError); ok {
				if calls, ok := existing.ExistingCollector.(*prometheus.CounterVec); ok {
					m.calls = calls
				}
				if seconds, ok := existing.ExistingCollector.(*prometheus.HistogramVec); ok {
					m.seconds = seconds
				}
			}
		}
	}
	return m
}

func (m *providerMetrics) observe(call revenuecat.Call) {
	m.calls.WithLabelValues(string(call.Op), strconv.Itoa(call.Status), string(call.Outcome)).Inc()
	m.seconds.WithLabelValues(string(call.Op)).Observe(call.Duration.Seconds())
}
