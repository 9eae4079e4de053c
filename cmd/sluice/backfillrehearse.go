package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// rehearse prints what a command would change, and changes nothing.
func (f backfillFlags) rehearse(ctx context.Context, io stdio, cfg config.Config, db *sqlx.DB, command backfill.Command, list string) (err error) {
	files, err := f.find(ctx, io, command)
	if err != nil {
		return err
	}
	own, err := postgres.Open(ctx, postgres.Config{URL: cfg.Database.URL.Reveal(), MaxConns: 1})
	if err != nil {
		return err
	}
	defer func() { _ = own.Close() }()
	progress := newBackfillProgress(io)
	r := backfill.Rehearsal{
		DB: db, Own: own, Catalogs: books.NewCatalogs(db), Testers: cfg.SandboxTesters, Now: clock, Report: progress.report,
	}
	if list != "" {
		each, end, openErr := differencesList(list)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, end()) }()
		r.Each = each
	}
	answer, err := r.Run(ctx, command, files)
	progress.end()
	if err != nil {
		return err
	}
	return f.foretell(io, answer, foretold{answer.Refusals, answer.Unreadable, answer.Counts.Refused, list},
		func() error { return printRehearsed(io.Out, command, answer, list) })
}

// foretold is what every dry run has to tell beside its answer.
type foretold struct {
	refusals   []*exports.RowError // the first of them
	unreadable []*exports.FileError
	refused    int64
	list       string // file with the full list; empty: none
}

// foretell prints what a dry run came to, as JSON or by show, and what could not be read.
// That there is such a thing is an error.
func (f backfillFlags) foretell(io stdio, answer any, told foretold, show func() error) error {
	for _, refusal := range told.refusals {
		_, _ = fmt.Fprintln(io.Err, "rejected:", refusal)
	}
	unreadable := make([]string, len(told.unreadable))
	for i, file := range told.unreadable {
		unreadable[i] = file.Error()
		_, _ = fmt.Fprintln(io.Err, "not read:", file)
	}
	var err error
	if f.JSON {
		err = printJSON(io, map[string]any{"dry_run": answer, "csv": told.list, "unreadable": unreadable})
	} else {
		err = show()
	}
	var problems []string
	if told.refused > 0 {
		problems = append(problems, plural(told.refused, "row", "rows")+" would be rejected")
	}
	if n := len(unreadable); n > 0 {
		problems = append(problems, plural(n, "file", "files")+" could not be read, or not to the end: what is missing is not in this answer")
	}
	if err == nil && len(problems) > 0 {
		err = errors.New(strings.Join(problems, "; "))
	}
	return err
}

func printRehearsed(out io.Writer, command backfill.Command, answer backfill.Rehearsed, list string) error {
	c := answer.Counts
	_, _ = fmt.Fprintf(out, "Nothing was changed. Of %s rows, %s would tell something new or other (%s are known, %s filtered, %s rejected), of %s customers; %s ids would be linked.\n\n",
		monitor.Number(c.Rows()), monitor.Number(c.New+c.Changed), monitor.Number(c.Same), monitor.Number(c.Skipped), monitor.Number(c.Refused), monitor.Number(answer.Players), monitor.Number(c.Links))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "PURCHASES:\tNEW\tCHANGED\tREFUNDED\tREVERSED\tACCESSES:\tGRANTED\tREVOKED\tMOVED\tITEMS:\tGRANTED\tREVOKED\tUSED UP\t")
	answer.Total.Product = "total"
	for _, i := range append(answer.Products, answer.Total) {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\t%d\t%d\t%d\t\t%d\t%d\t%d\t\n",
			i.Product, i.New, i.Changed, i.Refunds, i.Reversed, i.Granted, i.Revoked, i.Moved, i.Items, i.ItemsRevoked, i.UsedUp)
	}
	err := w.Flush()
	warnRehearsed(out, command, answer)
	if list != "" {
		_, _ = fmt.Fprintf(out, "\nThe full list: %s\n", list)
	}
	return err
}

// warnRehearsed says what nobody may have meant: items of long ago handed over again, and
// products that bring nothing.
func warnRehearsed(out io.Writer, command backfill.Command, answer backfill.Rehearsed) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, "\n"+format+"\n", args...) }
	total := answer.Total
	if total.Consumables > 0 {
		say(`WARNING: %s of consumables would be handed to players now, for purchases since %s. What players had
and used up before Sluice they would have again. --no-consumables-before TIME leaves out what was bought before then.`,
			plural(total.Consumables, "item", "items"), answer.ConsumablesSince.UTC().Format(time.DateOnly))
	}
	if lasting := total.Items - total.Consumables; lasting > 0 {
		say("%s of packages that the catalogue does not call consumable would be handed over, whenever they were bought.", plural(lasting, "item", "items"))
	}
	if before := command.UsedUpBefore; !before.IsZero() {
		say("%s of consumables bought before %s would not be handed over, now or later.", plural(total.UsedUp, "item", "items"), before.UTC().Format(time.RFC3339))
	}
	if total.Unknown > 0 {
		say("%s of products that the catalogue does not have, and that bring nothing until it does:", plural(total.Unknown, "new purchase is", "new purchases are"))
		for _, i := range answer.Products {
			if i.Unknown > 0 {
				_, _ = fmt.Fprintf(out, "  %s: %s\n", i.Product, monitor.Number(i.Unknown))
			}
		}
	}
}

// differencesList writes the full list to a file.
func differencesList(path string) (each func(backfill.Difference) error, end func() error, err error) {
	columns := []string{"what", "app_user_id", "product", "store", "environment", "transaction_id", "module", "until", "until_before", "item", "quantity"}
	return listFile(path, columns, func(x backfill.Difference) []string {
		quantity := ""
		if x.Quantity > 0 {
			quantity = strconv.FormatInt(x.Quantity, 10)
		}
		return []string{
			x.What, x.Player, x.Product, string(x.Purchase.Store), string(x.Purchase.Environment), x.Purchase.TransactionID, x.Module,
			stamp(x.Until), stamp(x.UntilBefore), x.Item, quantity,
		}
	})
}
