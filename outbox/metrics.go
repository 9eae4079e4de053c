package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the committer, the relay and the sweeper do.
type Metrics struct {
	commits      *prometheus.CounterVec
	batchSize    prometheus.Histogram
	batchSeconds prometheus.Histogram
	deadlocks    prometheus.Counter
	dataErrors   prometheus.Counter
	publishes    *prometheus.CounterVec
	overflow     prometheus.Counter
	swept        *prometheus.CounterVec
}

// NewMetrics registers the metrics with registry; nil registers them nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		commits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_outbox_effects_total", Help: "Effects by guard and what became of them.",
		}, []string{"guard", "result"}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_outbox_batch_effects", Help: "Effects per commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		batchSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_outbox_batch_duration_seconds", Help: "Time per commit, with retries.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		deadlocks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_outbox_deadlocks_total", Help: "Batches tried again after a deadlock.",
		}),
		dataErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_outbox_data_errors_total", Help: "Effects the database refused to store.",
		}),
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_outbox_publishes_total", Help: "Events published from memory, by result.",
		}, []string{"result"}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_outbox_relay_overflow_total", Help: "Events left to the sweeper because too many were in flight.",
		}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_outbox_swept_total", Help: "Owed deliveries published again or at their due time.",
		}, []string{"consumer"}),
	}
	if registry != nil {
		registry.MustRegister(m.commits, m.batchSize, m.batchSeconds, m.deadlocks, m.dataErrors, m.publishes, m.overflow, m.swept)
	}
	return m
}

func (m *Metrics) batch(size int, took time.Duration) {
	m.batchSize.Observe(float64(size))
	m.batchSeconds.Observe(took.Seconds())
}

func (m *Metrics) committed(guard string, result Result) {
	m.commits.WithLabelValues(guard, result.String()).Inc()
}

func (m *Metrics) published(err error) {
	if err != nil {
		m.publishes.WithLabelValues("failed").Inc()
		return
	}
	m.publishes.WithLabelValues("stored").Inc()
}
