package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/outbox"
)

// heartbeat says until stop is called that webhooks can be received, if they are
// taken and their silence is of interest.
func (p *process) heartbeat(ctx context.Context) (stop func()) {
	if w := p.config.Webhook; !w.Enabled || w.Silence == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	beat := &monitor.Heartbeat{DB: p.db, Silence: p.config.Webhook.Silence, Now: clock, Log: p.log}
	var running sync.WaitGroup
	running.Go(func() { _ = beat.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// webhooksCommand groups what is done about webhooks.
type webhooksCommand struct {
	Resync webhooksResyncCommand `cmd:"" help:"Read the customers again of whom webhooks of a time may be missing. sluice lag prints the command."`
	Replay webhooksReplayCommand `cmd:"" help:"Act on webhooks again that were kept."`
}

// webhooksResyncCommand has customers read again.
type webhooksResyncCommand struct {
	From   time.Time `help:"When it began, such as 2026-03-01T12:00:00Z." required:""`
	Until  time.Time `help:"When it was over." required:""`
	JSON   bool      `help:"Print JSON." name:"json"`
	Reason string    `help:"Why. Kept in the audit." default:"webhooks of this time may be missing"`
	by
}

const (
	// silentPage is how many players are read from the database at once.
	silentPage = 500
	// silentEvery keeps a command that is repeated from reading everybody again.
	silentEvery = 10 * time.Minute
)

// Run wishes for the readings, which the consumer resync makes as the provider's
// limit allows, behind everything else. It may be repeated: a player who was wished
// for ten minutes ago, or still waits, is left out.
func (c webhooksResyncCommand) Run(ctx context.Context, io stdio) error {
	if !c.From.Before(c.Until) {
		return exitError{errors.New("--from must be before --until"), exitBadUsage}
	}
	cfg, err := loadOperatorConfig(ctx, config.RoleRelay)
	if err != nil {
		return err
	}
	p, err := startProcess(ctx, "webhooks", cfg, newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err))
	if err != nil {
		return err
	}
	defer p.close()
	// On record before the first wish, which are many commits.
	if err := p.desk().Note(ctx, c.who(), c.Reason, operations.DeedResyncWebhooks, "webhooks", nil, map[string]any{"from": c.From.UTC(), "until": c.Until.UTC()}); err != nil {
		return usage(err)
	}
	wished, before, err := p.resyncMissed(ctx, c.From, c.Until)
	if err != nil {
		return fmt.Errorf("after %s: %w; run the same command again", plural(wished+before, "player", "players"), err)
	}
	gaps, err := p.desk().ResolveGaps(ctx, c.who(), c.Reason, c.From, c.Until, "resync of "+plural(wished+before, "player", "players"),
		map[string]any{"wished": wished, "wished_before": before})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io, map[string]any{"wished": wished, "wished_before": before, "gaps_resolved": gaps})
	}
	_, _ = fmt.Fprintf(io.Out, "%s be read again, %s wished for before. %s marked as made up for.\n",
		plural(wished, "player will", "players will"), plural(before, "was", "were"), plural(gaps, "gap is", "gaps are"))
	_, _ = fmt.Fprintln(io.Out, "The API does not tell who bought something new, was refunded or transferred meanwhile: backfill the next export, too.")
	return nil
}

// resyncMissed wishes for a reading of everybody of whom a webhook may be missing.
func (p *process) resyncMissed(ctx context.Context, from, until time.Time) (wished, before int, err error) {
	store, after := purchases.NewStore(p.db), ""
	for {
		players, err := store.MissedBetween(ctx, from, until, after, silentPage)
		if err != nil || len(players) == 0 {
			return wished, before, err
		}
		for _, player := range players {
			now := clock()
			wish := purchases.ResyncRequest{
				ID: outbox.NewID(), AppUserID: player, Reason: events.ResyncSilence, RequestedAt: now, NextAt: now.Add(silentEvery),
			}
			switch result, err := p.committer.Commit(ctx, outbox.Effects{
				Guard: purchases.ResyncAsked{ResyncRequest: wish}, Events: []events.Event{wish.Event(events.Bulk)}, Owner: player,
			}); {
			case err != nil:
				return wished, before, err
			case result == outbox.Applied:
				wished++
			default:
				before++
			}
		}
		after = players[len(players)-1]
	}
}
