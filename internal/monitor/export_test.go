package monitor

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
)

// ReadWebhooks reads how webhooks reach us as of a moment.
func ReadWebhooks(ctx context.Context, db *sqlx.DB, now time.Time) (Webhooks, error) {
	return readWebhooks(ctx, db, now)
}

// Collect sends the metrics of webhooks.
func (w Webhooks) Collect(ch chan<- prometheus.Metric) { w.collect(ch) }

// SetNow sets the monitor's clock.
func (m *Monitor) SetNow(now func() time.Time) { m.now = now }

// Look logs what changed.
func (w *Watchdog) Look(ctx context.Context, s Snapshot) { w.look(ctx, s) }
