package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// providerMetrics counts calls to the provider.
type providerMetrics struct {
	last    atomic.Pointer[revenuecat.Call]
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newProviderMetrics(registry prometheus.Registerer) *providerMetrics {
	factory := promauto.With(registry)
	return &providerMetrics{
		calls: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_provider_calls_total", Help: "Calls to RevenueCat by operation, HTTP status (0: no answer) and outcome.",
		}, []string{"op", "status", "outcome"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_provider_call_duration_seconds", Help: "Time per call to RevenueCat.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"op"}),
	}
}

func (m *providerMetrics) observe(call revenuecat.Call) {
	m.last.Store(&call)
	m.calls.WithLabelValues(string(call.Op), strconv.Itoa(call.Status), string(call.Outcome)).Inc()
	m.seconds.WithLabelValues(string(call.Op)).Observe(call.Duration.Seconds())
}

// status says how the provider was when this process last called it.
func (m *providerMetrics) status() string {
	switch last := m.last.Load(); {
	case last == nil:
		return "not called yet"
	case last.Status == 0:
		return "does not answer"
	case last.Status == http.StatusUnauthorized || last.Status == http.StatusForbidden:
		return fmt.Sprintf("refuses our key (%d)", last.Status)
	case last.Status == http.StatusTooManyRequests || last.Status >= http.StatusInternalServerError:
		return fmt.Sprintf("in trouble (%d)", last.Status)
	default:
		return "ok"
	}
}
