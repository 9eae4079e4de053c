package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"text/tabwriter"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// backfillCommand groups what replays history.
type backfillCommand struct {
	Transactions backfillTransactionsCommand `cmd:"" help:"Replay transactions exports: purchases, refunds, aliases."`
	Currency     backfillCurrencyCommand     `cmd:"" help:"Hold RevenueCat's ledger of currency against ours, and settle what is unknown."`
	Customers    backfillCustomersCommand    `cmd:"" help:"Take customer lists: links of ids, and whom to read from RevenueCat again."`
	Events       backfillEventsCommand       `cmd:"" help:"Replay an archive of webhooks."`
	Export       backfillExportCommand       `cmd:"" help:"Write an archive of the webhooks we keep."`
	List         backfillListCommand         `cmd:"" help:"List backfills, newest first."`
	Show         backfillShowCommand         `cmd:"" help:"Show a backfill and its files."`
	Pause        backfillPauseCommand        `cmd:"" help:"Have a backfill wait. Its process stays."`
	Resume       backfillResumeCommand       `cmd:"" help:"Let a backfill go on: in its process if that waits, here otherwise."`
	Cancel       backfillCancelCommand       `cmd:"" help:"End a backfill for good. What it recorded stays."`
}

// openBackfills opens the database for a command about backfills, in a process that
// keeps its memory small unless GOMEMLIMIT says otherwise, and yields to others.
func openBackfills(ctx context.Context) (config.Config, *sqlx.DB, error) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(backfill.MemoryLimit)
	}
	beNice()
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleRelay)
	if err != nil {
		return cfg, nil, err
	}
	p := process{db: db}
	if err := p.requireSchema(ctx); err != nil {
		_ = db.Close()
		return cfg, nil, err
	}
	return cfg, db, nil
}

// withRuns calls do with the backfills there are.
func withRuns(ctx context.Context, do func(backfill.Runs) error) error {
	_, db, err := openBackfills(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return do(backfill.Runs{DB: db})
}

// backfillListCommand lists runs.
type backfillListCommand struct {
	Limit int  `help:"How many at most." default:"20"`
	JSON  bool `help:"Print JSON." name:"json"`
}

// Run prints the table.
func (c backfillListCommand) Run(ctx context.Context, io stdio) error {
	return withRuns(ctx, func(runs backfill.Runs) error {
		list, err := runs.List(ctx, max(1, c.Limit))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, map[string]any{"backfills": list})
		}
		w := table(io, "ID\tFEED\tSTATE\tSTARTED\tBY\tFILES\tROWS\tNEW\tCHANGED\tREJECTED")
		for _, r := range list {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d/%d\t%d\t%d\t%d\t%d\n", r.ID, r.Command.Feed, stateOf(r), r.StartedAt.Format(time.RFC3339), r.StartedBy,
				r.FilesDone, r.FilesAll, r.Counts.Rows(), r.Counts.New, r.Counts.Changed, r.Counts.Refused)
		}
		return w.Flush()
	})
}

// stateOf says of a run that rests what becomes of it.
func stateOf(r backfill.Run) string {
	switch {
	case r.State == backfill.Running && !r.Alive:
		return "running (no process: resume it)"
	case r.State == backfill.Failed:
		return "failed (mend the cause and resume it, or cancel it)"
	}
	return string(r.State)
}

// backfillShowCommand shows one run.
type backfillShowCommand struct {
	ID   string `arg:"" help:"As sluice backfill list prints it."`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Run prints the run and its files.
func (c backfillShowCommand) Run(ctx context.Context, io stdio) error {
	return withRuns(ctx, func(runs backfill.Runs) error {
		run, err := runs.Show(ctx, c.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, run)
		}
		return showBackfill(io.Out, run)
	})
}

func showBackfill(out io.Writer, r backfill.Run) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { _, _ = fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("backfill", "%s, %s", r.ID, r.Command.Feed)
	line("state", "%s", stateOf(r))
	if r.Reason != "" {
		line("why", "%s", r.Reason)
	}
	line("started", "%s by %s", r.StartedAt.Format(time.RFC3339), r.StartedBy)
	if r.ChangedBy != "" {
		line("changed by", "%s", r.ChangedBy)
	}
	if !r.FinishedAt.IsZero() {
		line("finished", "%s", r.FinishedAt.Format(time.RFC3339))
	}
	for _, url := range r.Command.URLs {
		line("from", "%s", url)
	}
	if before := r.Command.UsedUpBefore; !before.IsZero() {
		line("no consumables", "of before %s", before.Format(time.RFC3339))
	}
	for _, count := range []struct {
		name string
		n    int64
	}{
		{"rows", r.Counts.Rows()}, {"new", r.Counts.New}, {"changed", r.Counts.Changed}, {"unchanged", r.Counts.Same},
		{"filtered", r.Counts.Skipped}, {"rejected", r.Counts.Refused}, {"links", r.Counts.Links}, {"to be read again", r.Counts.Wishes},
		{"environment not taken", r.Counts.Apart},
	} {
		if count.n == 0 && !fitting(r.Command.Feed, count.name) {
			continue
		}
		line(count.name, "%s", monitor.Number(count.n))
	}
	if err := w.Flush(); err != nil || len(r.Files) == 0 {
		return err
	}
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nFILE\tREAD\tROW\tNEW\tCHANGED\tUNCHANGED\tREJECTED")
	for _, f := range r.Files {
		read := fmt.Sprintf("%d %%", 100*f.Bytes/max(1, f.Size))
		if f.Finished {
			read = "all"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", f.URL, read, f.RowDone, f.New, f.Changed, f.Same, f.Refused)
	}
	return w.Flush()
}

// fitting reports whether a count says something of a feed even when it is 0.
func fitting(feed exports.Feed, count string) bool {
	switch count {
	case "changed":
		return feed == exports.Transactions
	case "links":
		return feed != exports.Events
	case "to be read again":
		return feed == exports.Customers
	case "environment not taken":
		return false
	}
	return true
}

// backfillPauseCommand has a run wait.
type backfillPauseCommand struct {
	ID     string `arg:"" help:"As sluice backfill list prints it."`
	Reason string `help:"Why; kept with the backfill."`
}

// Run pauses it. It holds from the next commit on.
func (c backfillPauseCommand) Run(ctx context.Context, io stdio) error {
	return withRuns(ctx, func(runs backfill.Runs) error {
		if err := runs.Pause(ctx, c.ID, operator(), c.Reason); err != nil {
			return err
		}
		_, err := fmt.Fprintf(io.Out, "paused; go on with: sluice backfill resume %s\n", c.ID)
		return err
	})
}

// backfillCancelCommand ends a run.
type backfillCancelCommand struct {
	ID     string `arg:"" help:"As sluice backfill list prints it."`
	Reason string `help:"Why; kept with the backfill."`
}

// Run cancels it. It holds from the next commit on.
func (c backfillCancelCommand) Run(ctx context.Context, io stdio) error {
	return withRuns(ctx, func(runs backfill.Runs) error {
		if err := runs.Cancel(ctx, c.ID, operator(), c.Reason); err != nil {
			return err
		}
		_, err := fmt.Fprintln(io.Out, "cancelled; what it recorded stays, and the same command begins a new one")
		return err
	})
}

// backfillResumeCommand lets a run go on.
type backfillResumeCommand struct {
	ID string `arg:"" help:"As sluice backfill list prints it."`
	backfillFlags
}

// Run resumes it.
func (c backfillResumeCommand) Run(ctx context.Context, io stdio) error {
	if err := c.check(); err != nil {
		return err
	}
	cfg, db, err := openBackfills(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	runs := backfill.Runs{DB: db}
	if err := runs.Resume(ctx, c.ID, operator()); err != nil {
		return err
	}
	run, err := runs.Show(ctx, c.ID)
	if err != nil {
		return err
	}
	if run.Alive {
		_, err := fmt.Fprintln(io.Out, "resumed; its process goes on")
		return err
	}
	return c.work(ctx, io, cfg, db, run)
}
