package monitor

import (
	"context"
	"log/slog"
	"time"
)

// watchInterval is how often stalls are looked for.
const watchInterval = 10 * time.Second

// Watchdog logs consumers that stall, and when they go on.
type Watchdog struct {
	Monitor *Monitor
	Log     *slog.Logger

	stalled map[string]bool
}

// Run looks for stalls until ctx ends.
func (w *Watchdog) Run(ctx context.Context) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		if s, err := w.Monitor.Snapshot(ctx); err == nil {
			w.look(ctx, s)
		} // who could not be read is no news: what tries to work says so
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look logs what changed. What an operator paused does not stall.
func (w *Watchdog) look(ctx context.Context, s Snapshot) {
	before := w.stalled
	w.stalled = map[string]bool{}
	for _, lag := range s.Consumers {
		name := lag.Consumer + "/" + lag.Lane
		stalled := lag.StandsStill()
		switch {
		case stalled && !before[name]:
			w.Log.WarnContext(ctx, "consumer stalled: messages wait and none is handed out; does a sluice work run it?",
				"consumer", lag.Consumer, "lane", lag.Lane, "messages", lag.Messages, "stalled_ms", time.Duration(lag.Stalled).Milliseconds())
		case !stalled && before[name]:
			w.Log.InfoContext(ctx, "consumer goes on", "consumer", lag.Consumer, "lane", lag.Lane)
		}
		if stalled {
			w.stalled[name] = true
		}
	}
}
