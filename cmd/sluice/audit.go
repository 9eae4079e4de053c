package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/audit"
	"github.com/sluice-gems/sluice/internal/purchases"
)

// auditCommand proves the books.
type auditCommand struct {
	Player  string `help:"Show one player's page instead: every movement with its cause and the running balance." placeholder:"ID"`
	Found   bool   `help:"Only list what sluice work found and nobody mended; at once."`
	Workers int    `help:"Connections that read at once; 0: one per CPU." default:"0"`
	JSON    bool   `help:"Print JSON." name:"json"`
}

// Help says what is proved and what the exit code means.
func (auditCommand) Help() string {
	return `In one snapshot of the database, per player and currency: charged = fulfilled + refunded +
in flight; every line of the ledger is one that its spend's state asks for, and none is
missing; every spend costs what its version of the catalogue says, and every call at
RevenueCat moved what its spends cost; the inventory holds what was fulfilled; the provider's
movements and corrections are double entries; what operators took back or corrected is in
their acts. Calls whose outcome is open or unknown are listed: they bound what the
provider's balance may differ by. It changes nothing. Exit code 1: something is wrong, and
the output names it. sluice work does the same for what changed, every minute
(sluice_audit_findings). docs/books.md says what to do.`
}

// Run audits the whole database, or one player.
func (c auditCommand) Run(ctx context.Context, io stdio) error {
	switch {
	case c.Workers < 0:
		return exitError{errors.New("--workers must not be below 0"), exitBadUsage}
	case c.Found && c.Player != "":
		return exitError{errors.New("either --found or --player"), exitBadUsage}
	}
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	switch {
	case c.Found:
		return databaseError(cfg, c.found(ctx, io, db))
	case c.Player != "":
		return databaseError(cfg, c.player(ctx, io, db))
	}
	return databaseError(cfg, c.whole(ctx, io, db))
}

// progressEvery is how often a long audit says how far it got.
const progressEvery = 10 * time.Second

func (c auditCommand) whole(ctx context.Context, io stdio, db *sqlx.DB) error {
	workers := c.Workers
	if workers == 0 {
		workers = min(runtime.NumCPU(), 8)
	}
	started, told := time.Now(), time.Now()
	report, err := audit.Whole(ctx, db, workers, func(done, all int64) {
		if time.Since(told) >= progressEvery {
			told = time.Now()
			_, _ = fmt.Fprintf(io.Err, "sluice: %d %% of the books read\n", 100*done/all)
		}
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(io, report)
	} else {
		err = printAudit(io, report, time.Since(started))
	}
	if err == nil && !report.Balanced() {
		err = fmt.Errorf("the books do not balance: %s", plural(len(report.Wrong), "finding", "findings"))
	}
	return err
}

// printedMax bounds the findings and open calls of a table; --json has all.
const printedMax = 100

func printAudit(io stdio, r audit.Report, took time.Duration) error {
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "CURRENCY\tCHARGED\t= FULFILLED\t+ REFUNDED\t+ IN FLIGHT\tOFF\tGRANTED\t")
	for _, currency := range slices.Sorted(maps.Keys(r.Currencies)) {
		s := r.Currencies[currency]
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", currency, s.Charged, s.Fulfilled, s.Refunded, s.InFlight, s.Off(), s.Granted)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(io.Out, "\n%s, %s, %s of the provider, %s, as of %s, in %s\n",
		plural(r.Spends, "spend", "spends"), plural(r.Lines, "ledger line", "ledger lines"), plural(r.Moved, "movement", "movements"), plural(r.Posted, "correction", "corrections"), r.At.UTC().Format(time.RFC3339), took.Round(time.Millisecond))
	if len(r.Open) > 0 {
		_, _ = fmt.Fprintf(io.Out, "%s no outcome yet; until then the provider's balances may differ by:\n", plural(len(r.Open), "call has", "calls have"))
	}
	for _, open := range r.Open[:min(len(r.Open), printedMax)] {
		_, _ = fmt.Fprintf(io.Out, "  %s %s %s of player %s, %s since %s, %s\n",
			open.Purpose, open.ID, open.Deltas, open.AppUserID, open.State, open.OpenedAt.UTC().Format(time.RFC3339), plural(open.Attempts, "attempt", "attempts"))
	}
	if r.Balanced() {
		_, err := fmt.Fprintln(io.Out, "the books balance")
		return err
	}
	_, _ = fmt.Fprintf(io.Out, "%s wrong:\n", plural(len(r.Wrong), "thing is", "things are"))
	for _, f := range r.Wrong[:min(len(r.Wrong), printedMax)] {
		_, _ = fmt.Fprintf(io.Out, "  %s\n", findingLine(f))
	}
	if more := max(len(r.Wrong), len(r.Open)) - printedMax; more > 0 {
		_, _ = fmt.Fprintln(io.Out, "  ... --json has all")
	}
	for _, p := range r.Players {
		_, _ = fmt.Fprintf(io.Out, "player %s: charged %d %s, fulfilled %d, refunded %d, in flight %d: off by %+d\n",
			p.AppUserID, p.Charged, p.Currency, p.Fulfilled, p.Refunded, p.InFlight, p.Off())
	}
	return nil
}

// findingLine is a finding, with by how much where that is a number.
func findingLine(f audit.Finding) string {
	if f.Units == 0 {
		return f.String()
	}
	return strings.TrimSuffix(fmt.Sprintf("%s (%+d %s", f, f.Units, f.Currency), " ") + ")"
}

// foundMax bounds the list; the metric sluice_audit_findings counts all.
const foundMax = 1000

func (c auditCommand) found(ctx context.Context, io stdio, db *sqlx.DB) error {
	list, err := audit.Findings(ctx, db, foundMax)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(io, map[string]any{"wrong": list})
	} else {
		for _, f := range list {
			_, _ = fmt.Fprintln(io.Out, findingLine(f))
		}
	}
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("the books do not balance: %s of sluice work", plural(len(list), "finding", "findings"))
	}
	return err
}

func (c auditCommand) player(ctx context.Context, io stdio, db *sqlx.DB) error {
	customer, err := purchases.NewStore(db).Customer(ctx, c.Player)
	if err != nil {
		return err
	}
	page, err := audit.Player(ctx, db, customer.AppUserIDs)
	if err != nil {
		return err
	}
	if len(page.Lines) == 0 && len(page.Held) == 0 && len(page.Open) == 0 {
		return fmt.Errorf("our books know nothing of player %q: it has no line, no balance and no open call", c.Player)
	}
	if c.JSON {
		err = printJSON(io, page)
	} else {
		err = printPage(io, page)
	}
	if err == nil && len(page.Wrong) > 0 {
		err = fmt.Errorf("the player's books do not balance: %s", plural(len(page.Wrong), "finding", "findings"))
	}
	return err
}

func printPage(io stdio, page audit.Page) error {
	for _, id := range page.AppUserIDs {
		_, _ = fmt.Fprintf(io.Out, "player %s\n", id)
	}
	w := table(io, "\nTIME\tCHANGE\tBALANCE\tCURRENCY\tKIND\tAMOUNT\tFROM\tTO\tCAUSE\tID")
	for _, l := range page.Lines {
		change := ""
		if l.Change != 0 {
			change = fmt.Sprintf("%+d", l.Change)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", l.At.UTC().Format("2006-01-02T15:04:05.000Z"), change, l.Balance, l.Currency, l.Kind, l.Amount, l.Debit, l.Credit, l.Cause, l.CauseID)
	}
	_, _ = fmt.Fprintln(w, "\nCURRENCY\tBY OUR BOOKS\tBY REVENUECAT\tREAD\tCHARGED\tFULFILLED\tREFUNDED\tIN FLIGHT\tGRANTED")
	for _, h := range page.Held {
		provider, read := "never read", ""
		if h.Provider != nil {
			provider, read = strconv.FormatInt(*h.Provider, 10), h.AsOf.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", h.Currency, h.Books, provider, read, h.Charged, h.Fulfilled, h.Refunded, h.InFlight, h.Granted)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, open := range page.Open {
		_, _ = fmt.Fprintf(io.Out, "\n%s %s %s has no outcome yet: %s since %s, %s\n",
			open.Purpose, open.ID, open.Deltas, open.State, open.OpenedAt.UTC().Format(time.RFC3339), plural(open.Attempts, "attempt", "attempts"))
	}
	for _, f := range page.Wrong {
		_, _ = fmt.Fprintf(io.Out, "\nWRONG: %s\n", f)
	}
	return nil
}

// audits watches the books in sluice work until stop is called.
func (p *process) audits(ctx context.Context) (stop func()) {
	watcher := &audit.Watcher{DB: p.db, Log: p.log}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = watcher.Run(ctx) })
	return func() { cancel(); running.Wait() }
}
