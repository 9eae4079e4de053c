package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// backfillPace is how every backfill works; none of it changes what it does.
type backfillPace struct {
	Rate    int    `help:"Rows per second at most; 0 is as fast as it goes."`
	Backlog int    `help:"Wait while consumers are owed more deliveries of the lane bulk than this; 0 never waits." default:"${backfill_backlog}"`
	Share   int    `help:"Percent of the time that it works while players spend, so that they do not wait for it; 100 is all of it." default:"${backfill_share}"`
	Rejects string `help:"File for rejected rows, with line and reason; unset: backfill-ID-rejected.csv in this folder." type:"path"`
	JSON    bool   `help:"Print the result as JSON." name:"json"`
}

func (p backfillPace) check() error {
	if p.Rate < 0 || p.Backlog < 0 || p.Share < 1 || p.Share > 100 {
		return exitError{errors.New("--rate and --backlog must be 0 or more, --share 1 to 100"), exitBadUsage}
	}
	return nil
}

// backfillFlags are how a backfill of transactions works.
type backfillFlags struct {
	backfillPace
	Workers     int   `help:"Commits that are prepared at once; each takes a CPU of PostgreSQL's. Customer lists and archives are read in order, by one." default:"${backfill_workers}"`
	LimitImpact int64 `help:"Pause before more players than this were changed; 0 is any number. Of transactions only."`
}

func (f backfillFlags) check() error {
	if f.LimitImpact < 0 || f.Workers < 1 || f.Workers > 8 {
		return exitError{errors.New("--limit-impact must be 0 or more, --workers 1 to 8"), exitBadUsage}
	}
	return f.backfillPace.check()
}

// between refuses a time that ends before it begins.
func between(since, until time.Time) error {
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return exitError{errors.New("--since must be before --until"), exitBadUsage}
	}
	return nil
}

// backfillFilter leaves rows out.
type backfillFilter struct {
	Since   time.Time `help:"Only rows that the provider changed then or later (updated_at), such as 2026-03-01T12:00:00Z."`
	Until   time.Time `help:"Only rows that the provider changed before then."`
	Product []string  `help:"Only rows of this product; may be repeated." sep:"none"`
	Player  []string  `help:"Only rows that name this App User ID; may be repeated." sep:"none"`
}

func (f backfillFilter) check() error { return between(f.Since, f.Until) }

func (f backfillFilter) filter() backfill.Filter {
	return backfill.Filter{Since: f.Since.UTC(), Until: f.Until.UTC(), Products: f.Product, Players: f.Player}
}

// backfillTransactionsCommand replays transactions exports.
type backfillTransactionsCommand struct {
	URLs                []string  `arg:"" name:"url" help:"Files, globs, folders, or s3://bucket/path; folders in the order of their dates."`
	DryRun              bool      `help:"Print what would change, by product and in total, and change nothing."`
	CSV                 string    `name:"csv" help:"With --dry-run: file for the full list." type:"path"`
	NoConsumablesBefore time.Time `help:"Consumables bought before then were used up: hand nothing over for them, now or when others tell of them. Such as 2026-03-01T12:00:00Z."`
	backfillFilter
	backfillFlags
}

// Help says what it reads and what it leaves.
func (backfillTransactionsCommand) Help() string {
	return `Reads Scheduled Data Exports (templates 3 to 7, feeds with chosen columns; CSV, gzip, Parquet) and records
every row as a webhook would have been: new and changed purchases, refunds, aliases. What webhooks told later than a
row stays. It may be repeated and may overlap with webhooks: nothing counts twice.

On the first day, what players bought long ago comes again: its accesses by their dates, its items as if bought now.
--dry-run lists them by product and warns. --no-consumables-before TIME says which purchases of packages that the catalogue
calls consumable bring no items: those made before then of which nobody told so far. It is kept with the purchase: later
runs, webhooks and readings of it hand nothing over either. What Sluice knew of before stays as it is.

The same command goes on where it stopped, also after kill -9. Exit code 1 when rows were rejected.`
}

// Run begins the backfill, or goes on with it.
func (c backfillTransactionsCommand) Run(ctx context.Context, io stdio) error {
	if err := errors.Join(c.backfillFilter.check(), c.backfillFlags.check()); err != nil {
		return err
	}
	if c.NoConsumablesBefore.After(clock()) {
		return exitError{errors.New("--no-consumables-before must not lie in the future: what is bought until then would bring nothing"), exitBadUsage}
	}
	if c.CSV != "" && !c.DryRun {
		return exitError{errors.New("--csv is the list of a --dry-run; add it, or leave --csv out"), exitBadUsage}
	}
	cfg, db, err := openBackfills(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	urls, err := absolute(c.URLs)
	if err != nil {
		return err
	}
	command := backfill.Command{Feed: exports.Transactions, URLs: urls, Filter: c.filter(), UsedUpBefore: c.NoConsumablesBefore.UTC()}
	if c.DryRun {
		return c.rehearse(ctx, io, cfg, db, command, c.CSV)
	}
	return c.start(ctx, io, cfg, db, command)
}

// absolute makes paths mean the same in every folder: a run may be resumed anywhere.
func absolute(urls []string) ([]string, error) {
	out := make([]string, len(urls))
	for i, url := range urls {
		if strings.Contains(url, "://") {
			out[i] = url
			continue
		}
		path, err := filepath.Abs(url)
		if err != nil {
			return nil, err
		}
		out[i] = path
	}
	return out, nil
}

// start begins a command, or goes on with the run of it that is not finished.
func (f backfillFlags) start(ctx context.Context, io stdio, cfg config.Config, db *sqlx.DB, command backfill.Command) error {
	files, err := f.find(ctx, io, command)
	if err != nil {
		return err
	}
	run, resumed, err := backfill.Runs{DB: db}.Start(ctx, command, operator())
	if err != nil {
		return err
	}
	verb := "begins"
	if resumed {
		verb = "goes on"
	}
	_, _ = fmt.Fprintf(io.Err, "backfill %s %s: %s\n", run.ID, verb, plural(len(files), "file", "files"))
	return f.run(ctx, io, cfg, db, run, files)
}

// work goes on with a run in this process.
func (f backfillFlags) work(ctx context.Context, io stdio, cfg config.Config, db *sqlx.DB, run backfill.Run) error {
	files, err := f.find(ctx, io, run.Command)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, giveUp(run))
	}
	return f.run(ctx, io, cfg, db, run, files)
}

// find lists the files of a command, and what is odd about them.
func (backfillFlags) find(ctx context.Context, io stdio, command backfill.Command) ([]exports.File, error) {
	found, err := exports.Find(ctx, command.URLs, command.Feed)
	if err != nil {
		return nil, err
	}
	for _, warning := range found.Warnings {
		_, _ = fmt.Fprintln(io.Err, "warning:", warning)
	}
	if len(found.Files) == 0 {
		return nil, errors.New("there are no files to read: name a file, a folder or a glob")
	}
	return found.Files, nil
}

func (f backfillFlags) run(ctx context.Context, io stdio, cfg config.Config, db *sqlx.DB, run backfill.Run, files []exports.File) error {
	path := f.Rejects
	if path == "" {
		path = "backfill-" + run.ID + "-rejected.csv"
	}
	rejects := &rejectsFile{path: path}
	progress := newBackfillProgress(io)
	engine := &backfill.Engine{
		DB: db, Subscriptions: consumers.Subscriptions(specs), Now: clock, Log: newLog(cfg.Log, io.Err), Judge: webhookPolicy(cfg).Judge,
		Workers: f.Workers, BacklogMax: f.Backlog, Rate: f.Rate, Share: float64(f.Share) / 100, ImpactMax: f.LimitImpact, Refused: rejects, Report: progress.report,
	}
	started := time.Now()
	run, err := engine.Run(ctx, run, files)
	progress.end()
	err = errors.Join(err, rejects.close())
	unknown, unknownErr := unknownProducts(ctx, db, run)
	if unknownErr != nil { // what the run recorded is recorded
		_, _ = fmt.Fprintln(io.Err, "warning: the products that the catalogue does not have are not listed:", unknownErr)
	}
	if f.JSON {
		err = errors.Join(printJSON(io, map[string]any{"backfill": run, "rejects": rejects.used(), "unknown_products": unknown}), err)
	} else {
		err = errors.Join(printBackfill(io, run, time.Since(started), progress.rows, rejects.used()), err)
		printUnknown(io.Out, unknown)
	}
	if err != nil {
		return backfillHint(run, err)
	}
	if run.Counts.Refused > 0 {
		return fmt.Errorf("%s rejected; everything else is recorded: see %s", plural(run.Counts.Refused, "row was", "rows were"), path)
	}
	return nil
}

// backfillHint says how to go on with what stopped.
func backfillHint(run backfill.Run, err error) error {
	if run.State == backfill.Cancelled || run.State == backfill.Done {
		return err
	}
	if errors.Is(err, backfill.ErrImpact) {
		return fmt.Errorf("%w\ngo on with the same command and a higher --limit-impact, or without a limit: sluice backfill resume %s", err, run.ID)
	}
	if _, unreadable := errors.AsType[*exports.FileError](err); unreadable {
		return fmt.Errorf("%w\nall other files are recorded. Once these are whole, the same command reads them: sluice backfill resume %s\n%s", err, run.ID, giveUp(run))
	}
	return fmt.Errorf("%w\ngo on with the same command, or: sluice backfill resume %s", err, run.ID)
}

// giveUp says how a run is ended that can never succeed.
func giveUp(run backfill.Run) string {
	return "if that can never be, end the run; what it recorded stays: sluice backfill cancel " + run.ID
}

// nothingChanged says what became of the rows of a run that changed nothing.
func nothingChanged(c backfill.Counts) string {
	var but []string
	if c.Refused > 0 {
		but = append(but, plural(c.Refused, "was rejected", "were rejected"))
	}
	if c.Skipped > 0 {
		but = append(but, plural(c.Skipped, "was left out by the filter", "were left out by the filter"))
	}
	known := "every row was known already."
	switch {
	case c.Same == 0 && len(but) == 0:
		known = "there was no row."
	case c.Same == 0:
		known = "of " + plural(c.Rows(), "row", "rows") + ", " + strings.Join(but, " and ") + "."
	case len(but) > 0:
		known = plural(c.Same, "row was", "rows were") + " known already, " + strings.Join(but, " and ") + "."
	}
	return "Nothing changed: " + known
}

func printBackfill(io stdio, run backfill.Run, took time.Duration, rows int64, rejects string) error {
	if err := showBackfill(io.Out, run); err != nil {
		return err
	}
	c := run.Counts
	if run.State == backfill.Done && c.New+c.Changed+c.Links+c.Wishes == 0 {
		_, _ = fmt.Fprintln(io.Out, "\n"+nothingChanged(c))
	}
	if c.Wishes > 0 {
		_, _ = fmt.Fprintf(io.Out, "\n%s be read again by sluice work, as RevenueCat's limit allows: see sluice lag.\n", plural(c.Wishes, "customer will", "customers will"))
	}
	if c.Apart > 0 {
		_, _ = fmt.Fprintf(io.Out, "\n%s of an environment that SLUICE_WEBHOOK_ENVIRONMENT does not take: kept, and without effect.\n", plural(c.Apart, "event is", "events are"))
	}
	if rejects != "" {
		_, _ = fmt.Fprintf(io.Out, "\nRejected rows: %s\n", rejects)
	}
	_, err := fmt.Fprintf(io.Out, "\n%s in %s, %s a second\n", plural(rows, "row", "rows"), took.Round(time.Second), monitor.Number(int64(float64(rows)/max(took.Seconds(), 0.001))))
	return err
}
