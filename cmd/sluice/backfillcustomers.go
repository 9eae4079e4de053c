package main

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// backfillCustomersCommand takes customer lists.
type backfillCustomersCommand struct {
	URLs   []string  `arg:"" name:"url" help:"Customer lists: files, globs, folders, or s3://bucket/path."`
	All    bool      `help:"Read everybody who is listed from RevenueCat again, not only those of whom the list says something new."`
	DryRun bool      `help:"Print how many would be linked and read again, and why; change nothing."`
	CSV    string    `name:"csv" help:"With --dry-run: file for the full list." type:"path"`
	Since  time.Time `help:"Only customers who were seen then or later (last_seen_at), such as 2026-03-01T12:00:00Z."`
	Until  time.Time `help:"Only customers who were last seen before then."`
	Player []string  `help:"Only rows that name this App User ID; may be repeated." sep:"none"`
	backfillPace
}

// Help says who is read again.
func (backfillCustomersCommand) Help() string {
	return `Reads customer lists (RevenueCat's dashboard, Customers, export; semicolons, times in milliseconds). Ids that a row
says are one customer are linked. A customer is read from RevenueCat again, by sluice work, behind everything else,
when the list tells what we do not know: a new link; a purchase or renewal that is later than those we know; a product
of which we know no purchase. Not when a whole reading was made since. That somebody was seen is no reason.

The same command goes on where it stopped, also after kill -9; once more it changes nothing, and says so. Exit code 1 when
rows were rejected.`
}

// Run begins the backfill, or goes on with it.
func (c backfillCustomersCommand) Run(ctx context.Context, io stdio) error {
	command := backfill.Command{
		Feed: exports.Customers, URLs: c.URLs, Filter: backfill.Filter{Since: c.Since.UTC(), Until: c.Until.UTC(), Players: c.Player}, All: c.All,
	}
	return c.begin(ctx, io, command, preview{c.DryRun, c.CSV})
}

// preview is whether a command is only looked at.
type preview struct {
	wished bool
	list   string // file for the full list; empty: none
}

// begin begins a command of a list or an archive, goes on with it, or previews it.
func (p backfillPace) begin(ctx context.Context, io stdio, command backfill.Command, look preview) error {
	if err := errors.Join(between(command.Filter.Since, command.Filter.Until), p.check()); err != nil {
		return err
	}
	if look.list != "" && !look.wished {
		return exitError{errors.New("--csv is the list of a --dry-run; add it, or leave --csv out"), exitBadUsage}
	}
	cfg, db, err := openBackfills(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if command.URLs, err = absolute(command.URLs); err != nil {
		return err
	}
	flags := backfillFlags{backfillPace: p, Workers: 1}
	if look.wished {
		return flags.preview(ctx, io, cfg, db, command, look.list)
	}
	return flags.start(ctx, io, cfg, db, command)
}
