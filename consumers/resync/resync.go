// Package resync reads a customer from the provider's API again and records what it
// finds, as if webhooks had told it.
//
//	customer.resync.requested.v1 → store.purchase.changed.v1, store.customer.changed.v1,
//	                               balances, claims that nobody knows rejected
//
// A wish is answered by any whole reading of its customer that started after it was
// made, whoever asked for that: so several wishes within seconds cost one reading,
// and a wish that comes twice costs nothing.
package resync

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// GatherDefault is how old a wish becomes before it is read for: what is wished for
	// the same customer meanwhile is answered, too, and the provider has time to know
	// itself what its webhook told.
	GatherDefault = 2 * time.Second
	// skewMax is how far the clocks of two of our machines may be apart. A reading
	// answers wishes that are older than its start by more than that.
	skewMax = 500 * time.Millisecond
	// concurrency is how many customers one process reads at once, per lane. The budget
	// decides how fast; a reading that waits for it costs a goroutine.
	concurrency = 16
)

// Balances reads what a customer holds; budget.Provider does.
type Balances interface {
	Balances(ctx context.Context, appUserID string) (revenuecat.Reading, error)
}

// Mirror keeps readings of balances; books.Books does.
type Mirror interface {
	KeepReading(ctx context.Context, appUserID string, balances economy.Amounts, asOf time.Time) error
}

// Consumer is the consumer resync. Its Reader and Products wait for the budget
// themselves.
type Consumer struct {
	Reader   *revenuecat.Reader
	Products *revenuecat.Products
	Balances Balances
	Mirror   Mirror
	Store    *purchases.Store
	Recorder *purchases.Recorder
	Now      func() time.Time
	Log      *slog.Logger

	Gather time.Duration                                    // see GatherDefault
	Claims ClaimTimes                                       // see there; zero: the defaults
	Wait   func(ctx context.Context, d time.Duration) error // nil: the time passes
	turns  turns
}

// Spec is what resync is to the rest of the system. A reading that failed is tried
// again later than other work: nobody waits for it who has not waited already.
var Spec = consumers.Spec{
	Name:        "resync",
	Types:       []events.Type{events.CustomerResyncRequestedV1},
	Lanes:       []events.Lane{events.Store, events.Bulk},
	Concurrency: concurrency,
	Retry:       consumers.RetryPolicy{Min: time.Second, Max: time.Minute},
}

// Spec implements consumers.Consumer.
func (*Consumer) Spec() consumers.Spec { return Spec }

// Consume reads the customer of a wish, unless a reading answers the wish already. A
// wish about a claim waits for the claim's webhook first. Those of the lane bulk are
// read with what the budget has to spare.
func (c *Consumer) Consume(ctx context.Context, event events.Event) (outbox.Effects, error) {
	wish, err := events.DataOf[events.CustomerResyncRequested](event)
	if err != nil {
		return outbox.Effects{}, err
	}
	done := outbox.Effects{Guard: outbox.Finish{EventID: event.ID, Consumer: Spec.Name}}
	if event.AppUserID == "" {
		return outbox.Effects{}, consumers.Permanent(errors.New("a wish to read nobody"))
	}
	if wish.Reason == events.ResyncClaim {
		switch claim, err := c.Store.Claim(ctx, wish.Cause); {
		case errors.Is(err, purchases.ErrNotFound): // a wish like any other
		case err != nil:
			return outbox.Effects{}, err
		default:
			return c.settleClaim(ctx, event, claim)
		}
	}
	if event.Lane == events.Bulk {
		ctx = revenuecat.Idle(ctx)
	}
	if err := c.gather(ctx, event.Time); err != nil {
		return outbox.Effects{}, err
	}
	if err := c.readOnce(ctx, event); err != nil {
		return outbox.Effects{}, err
	}
	return done, nil
}

// gather waits until a wish is old enough to be read for.
func (c *Consumer) gather(ctx context.Context, wishedAt time.Time) error {
	wait := c.Gather - c.Now().Sub(wishedAt)
	if wait <= 0 {
		return nil
	}
	return c.wait(ctx, min(wait, c.Gather)) // a clock ahead of ours must not make it longer
}

func (c *Consumer) wait(ctx context.Context, d time.Duration) error {
	if c.Wait != nil {
		return c.Wait(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readOnce reads the customer and records what it finds, unless a reading answers the
// wish. Wishes for one customer take turns, so that the first one's reading answers
// the others.
func (c *Consumer) readOnce(ctx context.Context, event events.Event) error {
	customer, err := c.Store.Customer(ctx, event.AppUserID)
	if err != nil {
		return err
	}
	leave, err := c.turns.enter(ctx, customer.ID)
	if err != nil {
		return err
	}
	defer leave()
	switch last, err := c.Store.ReadingOf(ctx, customer.AppUserIDs); {
	case errors.Is(err, purchases.ErrNotFound):
	case err != nil:
		return err
	case last.StartedAt.Sub(event.Time) > skewMax:
		return nil
	}
	found, err := c.read(ctx, event)
	if err != nil {
		return err
	}
	return c.record(ctx, event, customer, found)
}
