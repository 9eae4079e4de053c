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

// Bounds are the limits that the verdict and the alert of a name share.
var Bounds = map[string][]time.Duration{
	"SluiceConsumerBehind": {behindLive, behindStore, behindBulk}, "SluiceConsumerStalled": {StalledAfter}, "SluiceOutboxNotSwept": {StalledAfter},
	"SluiceSpendsStuck": {stuckAfter}, "SluiceUnknownCharges": {unknownLong}, "SluiceAuditStands": {auditAfter}, "SluicePausedForLong": {pausedLong},
	"SluiceHandoverDown": {0, failingAfter}, "SluiceProviderDown": {0}, "SluiceNeedsOperator": {0}, "SluiceBooksDoNotBalance": {0}, "SluiceDrift": {0},
	"SluiceDeadLetters": {0}, "SluiceUnknownProduct": {0}, "SluiceCustomerConflicts": {0}, "SluiceWebhooksMayBeMissing": {0},
}

// SetNow sets the monitor's clock.
func (m *Monitor) SetNow(now func() time.Time) { m.now = now }

// Look logs what changed.
func (w *Watchdog) Look(ctx context.Context, s Snapshot) { w.look(ctx, s) }
