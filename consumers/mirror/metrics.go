package mirror

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sluice-gems/sluice/economy"
)

// Metrics counts movements and readings.
type Metrics struct {
	units    *prometheus.CounterVec
	readings *prometheus.CounterVec
}

// NewMetrics registers the metrics with registry; nil registers them nowhere.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	factory := promauto.With(registry)
	return &Metrics{
		units: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_provider_moved_units_total",
			Help: "Units of currency that the provider moved by itself, as webhooks told; a delivery that comes again counts again. The sandbox moves the one real balance.",
		}, []string{"currency", "kind", "environment"}),
		readings: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_mirror_readings_total",
			Help: "Readings of balances after a movement: read, newer (none was needed), failed (tried again), given_up, dropped (too many waited).",
		}, []string{"outcome"}),
	}
}

func (m *Metrics) moved(movement economy.Movement) {
	for _, entry := range movement.Entries() {
		m.units.WithLabelValues(string(entry.Currency), string(entry.Kind), string(movement.Environment)).Add(float64(entry.Amount))
	}
}

func (m *Metrics) reading(outcome string) { m.readings.WithLabelValues(outcome).Inc() }
