package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluice-gems/sluice/economy"
)

// Metrics counts what the committer, the relay and the sweeper do, and measures how
// long spends take.
type Metrics struct {
	commits      *prometheus.CounterVec
	batchSize    prometheus.Histogram
	batchSeconds prometheus.Histogram
	deadlocks    prometheus.Counter
	dataErrors   prometheus.Counter
	stored       prometheus.Counter
	notStored    prometheus.Counter
	overflow     prometheus.Counter
	swept        *prometheus.CounterVec
	stages       map[stage]prometheus.Observer
}

// stage is how far a spend or a grant has come.
type stage string

const (
	stageCommitted stage = "committed" // accepted for good: in PostgreSQL
	stagePublished stage = "published" // its first message is stored by the broker, at the first try
)

// stages lists every stage; the later ones are named by the state.
var stages = []stage{
	stageCommitted, stagePublished,
	stage(economy.Charged), stage(economy.Fulfilled), stage(economy.Declined), stage(economy.Refunded),
}

// stageBuckets reach from a commit to an outage of the provider.
var stageBuckets = []float64{0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800}

// NewMetrics registers the metrics with registry; nil registers them nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	factory := promauto.With(registry)
	publishes := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_outbox_publishes_total", Help: "Events published from memory, by result.",
	}, []string{"result"})
	latency := factory.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sluice_spend_latency_seconds", Help: "Time from a spend's or grant's acceptance until it reached a stage.", Buckets: stageBuckets,
	}, []string{"stage"})
	m := &Metrics{
		commits: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_outbox_effects_total", Help: "Effects by guard and what became of them.",
		}, []string{"guard", "result"}),
		batchSize: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_outbox_batch_effects", Help: "Effects per commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		batchSeconds: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_outbox_batch_duration_seconds", Help: "Time per commit, with retries.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		deadlocks: factory.NewCounter(prometheus.CounterOpts{
			Name: "sluice_outbox_deadlocks_total", Help: "Batches tried again after a deadlock.",
		}),
		dataErrors: factory.NewCounter(prometheus.CounterOpts{
			Name: "sluice_outbox_data_errors_total", Help: "Effects the database refused to store.",
		}),
		stored: publishes.WithLabelValues("stored"), notStored: publishes.WithLabelValues("failed"),
		overflow: factory.NewCounter(prometheus.CounterOpts{
			Name: "sluice_outbox_relay_overflow_total", Help: "Events left to the sweeper because too many were in flight.",
		}),
		swept: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_outbox_swept_total", Help: "Owed deliveries published again or at their due time.",
		}, []string{"consumer"}),
		stages: make(map[stage]prometheus.Observer, len(stages)),
	}
	for _, s := range stages {
		m.stages[s] = latency.WithLabelValues(string(s))
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

// published counts a publish. accepted is that of Message.
func (m *Metrics) published(accepted time.Time, err error) {
	if err != nil {
		m.notStored.Inc()
		return
	}
	m.stored.Inc()
	m.reached(stagePublished, accepted)
}

// reached measures that a spend reached a stage now. A spend that was accepted at a
// time that is not known is not measured. The clocks may be those of two machines.
func (m *Metrics) reached(s stage, accepted time.Time) {
	if observer, ok := m.stages[s]; ok && !accepted.IsZero() {
		observer.Observe(max(0, time.Since(accepted).Seconds()))
	}
}
