package access

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// catchUpInterval is how often purchases of unknown products are looked for that
	// the current catalogue has. It is what a player waits at most once it does.
	catchUpInterval = 30 * time.Second
	// catchUpMax bounds the customers of one round, so that the bulk lane never holds
	// more of them at once.
	catchUpMax = 500
	// sweepMax bounds the purchases of unknown products that are looked at in one round.
	sweepMax = 5000
)

// CatchUp has customers folded again who bought what no catalogue had, once one is
// loaded that has it: on the bulk lane, some at a time. What was bound since it forgets.
// Any number of processes may run it: an event that is owed already is the same event.
type CatchUp struct {
	Store interface {
		CurrentCatalog(ctx context.Context) (version int64, err error)
		Unfolded(ctx context.Context, catalog economy.Catalog, at time.Time, limit int) ([]events.Event, error)
		SweepUnknown(ctx context.Context, after economy.PurchaseKey, limit int) (next economy.PurchaseKey, swept int64, err error)
	}
	Catalogs  Catalogs
	Committer consumers.Committer
	Now       func() time.Time
	Log       *slog.Logger
}

// Run looks now and then until ctx ends.
func (c CatchUp) Run(ctx context.Context) {
	ticker := time.NewTicker(catchUpInterval)
	defer ticker.Stop()
	var swept economy.PurchaseKey // how far
	for {
		n, err := c.Round(ctx)
		if err == nil {
			swept, _, err = c.Store.SweepUnknown(ctx, swept, sweepMax)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.Log.WarnContext(ctx, "catch-up", "outcome", "failed", "error", err)
		case n > 0:
			c.Log.InfoContext(ctx, "catch-up", "outcome", "the catalogue has what it did not have: folding again", "customers", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Round sends events for some customers and returns for how many.
func (c CatchUp) Round(ctx context.Context) (int, error) {
	version, err := c.Store.CurrentCatalog(ctx)
	if err != nil || version == 0 {
		return 0, err
	}
	catalog, err := c.Catalogs.Catalog(ctx, version)
	if err != nil {
		return 0, err
	}
	list, err := c.Store.Unfolded(ctx, catalog, c.Now(), catchUpMax)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	result, err := c.Committer.Commit(ctx, outbox.Effects{Guard: purchases.StillCurrent{Version: version}, Events: list})
	if err != nil || result != outbox.Applied {
		return 0, err
	}
	return len(list), nil
}
