package main

import (
	"context"
	"time"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// backfillEventsCommand replays archives of webhooks.
type backfillEventsCommand struct {
	URLs   []string  `arg:"" name:"file" help:"Archives: JSON lines, plain or gzip; files, globs, folders, or s3://bucket/path."`
	DryRun bool      `help:"Print how many events of each type are new, and change nothing."`
	CSV    string    `name:"csv" help:"With --dry-run: file for the full list." type:"path"`
	Since  time.Time `help:"Only events that happened then or later (event_timestamp_ms), such as 2026-03-01T12:00:00Z."`
	Until  time.Time `help:"Only events that happened before then."`
	Type   []string  `help:"Only events of this type, such as RENEWAL; may be repeated."`
	Player []string  `help:"Only events that name this App User ID; may be repeated." sep:"none"`
	backfillPace
}

// Help says what a line is, and what becomes of it.
func (backfillEventsCommand) Help() string {
	return `Each line is one webhook: its body, as RevenueCat sent it, or what sluice backfill export wrote. It is taken in as
if it came now, by the settings of sluice serve (SLUICE_WEBHOOK_ENVIRONMENT, SLUICE_WEBHOOK_REDACT, SLUICE_SANDBOX_TESTERS),
only that its effects come behind those of live webhooks. Nobody proves that the lines are RevenueCat's: name only
archives that you trust. An event that is known already changes nothing, by whatever road it came.

The same command goes on where it stopped, also after kill -9. Exit code 1 when lines were rejected.`
}

// Run begins the replay, or goes on with it.
func (c backfillEventsCommand) Run(ctx context.Context, io stdio) error {
	filter := backfill.Filter{Since: c.Since.UTC(), Until: c.Until.UTC(), Products: c.Type, Players: c.Player}
	return c.begin(ctx, io, backfill.Command{Feed: exports.Events, URLs: c.URLs, Filter: filter}, preview{c.DryRun, c.CSV})
}
