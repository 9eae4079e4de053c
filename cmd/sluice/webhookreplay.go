package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/operations"
)

// webhooksReplayCommand acts on kept webhooks again.
type webhooksReplayCommand struct {
	ID    string    `arg:"" optional:"" help:"One webhook, by our id or RevenueCat's event id."`
	From  time.Time `help:"Only those received from this time on, such as 2026-03-01T12:00:00Z."`
	Until time.Time `help:"Only those received before this time."`
	Type  string    `help:"Only those of this type, such as RENEWAL."`
	Yes   bool      `help:"Do it to many. Without it only their number is shown." short:"y"`
	JSON  bool      `help:"Print JSON." name:"json"`
	act
}

// Help says what a replay does.
func (webhooksReplayCommand) Help() string {
	return `Webhooks that were taken in are owed to their consumer again, as if each had just arrived.
What they say is known already, so it changes nothing but what was wrong: it is for a
release that reads them better. Those whose body is cleared (SLUICE_WEBHOOK_BODY_DAYS)
cannot be replayed; sluice resync reads a customer from RevenueCat instead.`
}

// Run replays, or says how many there are.
func (c webhooksReplayCommand) Run(ctx context.Context, io stdio) error {
	filter := operations.WebhookFilter{From: c.From, Until: c.Until, Type: c.Type, ID: c.ID}
	if c.ID == "" && !c.Yes {
		return lookAtDesk(ctx, func(desk *operations.Desk) error {
			n, err := desk.CountWebhooks(ctx, filter)
			switch {
			case err != nil:
				return err
			case c.JSON:
				return printJSON(io, map[string]any{"webhooks": n})
			}
			_, err = fmt.Fprintf(io.Out, "%d would be replayed. Nothing was done: the same command with --yes does it.\n", n)
			return err
		})
	}
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		many, err := desk.ReplayWebhooks(ctx, c.who(), c.Reason, filter)
		if c.JSON {
			return errors.Join(printJSON(io, many), err)
		}
		_, _ = fmt.Fprintf(io.Out, "%s owed to their consumers again; %s nobody anything.\n", plural(many.Done, "is", "are"), plural(many.Refused, "tells", "tell"))
		if err == nil && c.ID != "" && many == (operations.Many{}) {
			err = fmt.Errorf("no webhook that was taken, and still has its body, is called %q", c.ID)
		}
		return err
	})
}
