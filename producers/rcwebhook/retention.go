package rcwebhook

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// chunk is how many rows one statement takes, so that none holds its locks long.
	chunk = 500
	// retentionInterval is how often Run looks.
	retentionInterval = time.Hour
	// keyAge is how long a key is kept at least, whatever becomes of its row: a replay
	// by hand, and the longest of RevenueCat's own, are known as such.
	keyAge = 366 * 24 * time.Hour
)

// Kept deletes by age; purchases.Store does.
type Kept interface {
	ClearBodies(ctx context.Context, before time.Time, limit int) (int, error)
	DeleteWebhooks(ctx context.Context, before, keysBefore time.Time, limit int) (int, error)
}

// Retention clears raw bodies and deletes webhooks by age. Several may run at once.
type Retention struct {
	Store  Kept
	Bodies time.Duration // age at which a body is cleared; 0: never
	Rows   time.Duration // age at which the row is deleted; 0: never
	Now    func() time.Time
	Log    *slog.Logger
}

// Run sweeps now and then every hour until ctx ends. What fails is logged and tried
// again an hour later.
func (r *Retention) Run(ctx context.Context) error {
	ticker := time.NewTicker(retentionInterval)
	defer ticker.Stop()
	for {
		if err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "webhook retention", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep clears and deletes what is old by now, in chunks. A second call finds
// nothing to do.
func (r *Retention) Sweep(ctx context.Context) error {
	now := r.Now()
	var cleared, deleted int
	var err error
	if r.Bodies > 0 {
		cleared, err = inChunks(func() (int, error) { return r.Store.ClearBodies(ctx, now.Add(-r.Bodies), chunk) })
		if err != nil {
			return fmt.Errorf("clear webhook bodies: %w", err)
		}
	}
	if r.Rows > 0 {
		deleted, err = inChunks(func() (int, error) { return r.Store.DeleteWebhooks(ctx, now.Add(-r.Rows), now.Add(-keyAge), chunk) })
		if err != nil {
			return fmt.Errorf("delete webhooks: %w", err)
		}
	}
	if cleared+deleted > 0 {
		r.Log.InfoContext(ctx, "webhooks by age", "bodies_cleared", cleared, "rows_deleted", deleted)
	}
	return nil
}

func inChunks(once func() (int, error)) (total int, err error) {
	for {
		n, err := once()
		total += n
		if err != nil || n < chunk {
			return total, err
		}
	}
}
