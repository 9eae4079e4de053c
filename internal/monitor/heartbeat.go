package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"
)

// heartbeatInterval is how often a process says that it takes webhooks. Against the
// hours that count it is nothing, and one row is written.
const heartbeatInterval = 30 * time.Second

// Heartbeat says for as long as it runs that webhooks can be received, and finds out
// when that was not so for too long, or when none come. Each process that takes
// webhooks runs one; together they write one row.
type Heartbeat struct {
	DB      *sqlx.DB
	Silence time.Duration // no webhook for so long while the game goes on is a gap; 0: it never is
	Now     func() time.Time
	Log     *slog.Logger
}

// Run beats now and then every half minute until ctx ends. What fails is logged, and
// is what an outage is told by.
func (h *Heartbeat) Run(ctx context.Context) error {
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for {
		if err := h.Beat(ctx); err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "webhook heartbeat", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// beatQuery notes the beat and, when the last one is too long ago, the outage. The
// lock makes the first of several processes that start together the one who finds it.
const beatQuery = `WITH before AS (SELECT beat_at FROM webhook_heartbeat FOR UPDATE),
	beat AS (INSERT INTO webhook_heartbeat AS b (since, beat_at) VALUES ($1, $1)
		ON CONFLICT (single) DO UPDATE SET beat_at = greatest(b.beat_at, excluded.beat_at))
	INSERT INTO webhook_gaps (cause, from_at, until_at, found_at)
		SELECT 'outage', beat_at, $1, $1 FROM before WHERE $1 - beat_at > make_interval(secs => $2)
		ON CONFLICT DO NOTHING RETURNING cause, from_at, until_at`

// silentQuery notes a silence, or that it lasts. It returns the gap only the first time.
const silentQuery = `WITH noted AS (
		INSERT INTO webhook_gaps AS g (cause, from_at, until_at, found_at) VALUES ('silence', $1, $2, $2)
		ON CONFLICT (cause, from_at) DO UPDATE SET until_at = greatest(g.until_at, excluded.until_at) WHERE g.resolved_at IS NULL
		RETURNING cause, from_at, until_at, xmax = 0 AS new)
	SELECT cause, from_at, until_at FROM noted WHERE new`

// Beat notes that webhooks can be received now, and logs a gap that it finds, once.
// A second call at the same moment changes nothing.
func (h *Heartbeat) Beat(ctx context.Context) error {
	now := h.Now()
	var found []Gap
	if err := h.DB.SelectContext(ctx, &found, beatQuery, now, WebhookRetrySpan.Seconds()); err != nil {
		return fmt.Errorf("note that webhooks can be received: %w", err)
	}
	signals, err := readSignals(ctx, h.DB)
	if err != nil {
		return err
	}
	if gap, silent := signals.Gap(now, h.Silence); silent {
		var noted []Gap
		if err := h.DB.SelectContext(ctx, &noted, silentQuery, gap.From, gap.Until); err != nil {
			return fmt.Errorf("note a silence of webhooks: %w", err)
		}
		found = append(found, noted...)
	}
	for _, g := range found {
		h.Log.ErrorContext(ctx, "webhooks may be missing", "cause", g.Cause, "from", g.From.UTC(), "until", g.Until.UTC(), "run", g.Command(), "backfill", g.Backfill())
	}
	return nil
}
