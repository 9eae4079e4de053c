package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"text/tabwriter"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/resync"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// newResync builds the consumer resync.
func newResync(p *process, _ *adjustments.Teller) consumers.Consumer {
	store := purchases.NewStore(p.db)
	return &resync.Consumer{
		Reader: p.provider.reads, Products: p.provider.products, Balances: p.provider, Mirror: p.books, Store: store,
		Recorder: &purchases.Recorder{Store: store, Committer: p.unhurried, Now: clock},
		Now:      clock, Log: p.log, Gather: resync.GatherDefault,
		Claims: resync.ClaimTimes{Webhook: p.config.Claims.Wait, Patience: p.config.Claims.Patience},
	}
}

// resyncCommand has a player's customer read from the provider again.
type resyncCommand struct {
	Player  string        `arg:"" help:"Any App User ID of the customer."`
	Reason  string        `help:"Why. Kept with the wish, and in the audit." default:"asked for on the command line"`
	Wait    bool          `help:"Wait until the customer was read, and show what that brought."`
	Timeout time.Duration `help:"How long to wait at most; the reading goes on without us." default:"1m"`
	JSON    bool          `help:"Print JSON." name:"json"`
	by
}

// resyncTick is how often --wait looks.
const resyncTick = 200 * time.Millisecond

// Run writes the wish to the outbox; sluice work carries it out.
func (c resyncCommand) Run(ctx context.Context, io stdio) error {
	if c.Player == "" || c.Timeout <= 0 {
		return exitError{errors.New("name a player, and use a --timeout of more than 0, such as 1m"), exitBadUsage}
	}
	cfg, err := loadOperatorConfig(ctx, config.RoleRelay)
	if err != nil {
		return err
	}
	p, err := startProcess(ctx, "resync", cfg, newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err))
	if err != nil {
		return err
	}
	defer p.close()
	wish, err := p.desk().Resync(ctx, c.who(), c.Reason, c.Player)
	if err != nil {
		return usage(err)
	}
	newLog(cfg.Log, io.Err).InfoContext(ctx, "resync requested by an operator", "event_id", wish.ID, "operator", operator(), "reason", c.Reason)
	if !c.Wait {
		return c.print(io, wish, nil)
	}
	reading, err := c.await(ctx, purchases.NewStore(p.db), wish)
	if err != nil {
		return err
	}
	return c.print(io, wish, &reading)
}

// await returns the reading that answers the wish, once the wish is done.
func (c resyncCommand) await(ctx context.Context, store *purchases.Store, wish events.Event) (purchases.Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	ticker := time.NewTicker(resyncTick)
	defer ticker.Stop()
	for {
		owed, dead, err := store.Delivery(ctx, wish.ID, resync.Spec.Name)
		switch {
		case err != nil && ctx.Err() == nil:
			return purchases.Reading{}, err
		case dead != "":
			return purchases.Reading{}, fmt.Errorf("the wish %s was set aside: %s", wish.ID, dead)
		case err == nil && !owed:
			customer, err := store.Customer(ctx, c.Player)
			if err != nil {
				return purchases.Reading{}, err
			}
			return store.ReadingOf(ctx, customer.AppUserIDs)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return purchases.Reading{}, fmt.Errorf("not read within %s; it goes on: see sluice lag", c.Timeout)
		}
	}
}

func (c resyncCommand) print(io stdio, wish events.Event, reading *purchases.Reading) error {
	if c.JSON {
		out := map[string]any{"event_id": wish.ID, "requested_at": wish.Time.UTC()}
		if reading != nil {
			out["reading"] = map[string]any{
				"found": reading.Found, "started_at": reading.StartedAt, "finished_at": reading.FinishedAt,
				"purchases": reading.Purchases, "changed": reading.Changed,
			}
		}
		return printJSON(io, out)
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "wish\t%s\n", wish.ID)
	switch {
	case reading == nil:
		_, _ = fmt.Fprintf(w, "read\tby sluice work, in a few seconds; --wait waits for it\n")
	case !reading.Found:
		_, _ = fmt.Fprintf(w, "read\t%s: RevenueCat does not know this customer\n", reading.FinishedAt.Format(time.RFC3339))
	default:
		_, _ = fmt.Fprintf(w, "read\t%s\npurchases\t%d, of which %d told something new\n", reading.FinishedAt.Format(time.RFC3339), reading.Purchases, reading.Changed)
	}
	return w.Flush()
}

// operator names who runs this program, for audits.
func operator() string {
	name := "uid unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
