package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/exports"
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
	var differences *differencesFile
	if list != "" {
		if differences, err = newDifferencesFile(list); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, differences.close()) }()
		r.Each = differences.write
	}
	answer, err := r.Run(ctx, command, files)
	progress.end()
	if err != nil {
		return err
	}
	return f.foretell(io, answer, answer.Refusals, answer.Counts.Refused, list, func() error { return printRehearsed(io.Out, answer, list) })
}

// foretell prints what a dry run came to, as JSON or by show, and the first rows that
// would be rejected. That there are any is an error.
func (f backfillFlags) foretell(io stdio, answer any, refusals []*exports.RowError, refused int64, list string, show func() error) error {
	for _, refusal := range refusals {
		_, _ = fmt.Fprintln(io.Err, "rejected:", refusal)
	}
	var err error
	if f.JSON {
		err = printJSON(io, map[string]any{"dry_run": answer, "csv": list})
	} else {
		err = show()
	}
	if err == nil && refused > 0 {
		err = fmt.Errorf("%s rows would be rejected", thousands(refused))
	}
	return err
}

func printRehearsed(out io.Writer, answer backfill.Rehearsed, list string) error {
	c := answer.Counts
	_, _ = fmt.Fprintf(out, "Nothing was changed. Of %s rows, %s would tell something new or other (%s are known, %s filtered, %s rejected), of %s customers; %s ids would be linked.\n\n",
		thousands(c.Rows()), thousands(c.New+c.Changed), thousands(c.Same), thousands(c.Skipped), thousands(c.Refused), thousands(answer.Players), thousands(c.Links))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "PURCHASES:\tNEW\tCHANGED\tREFUNDED\tREVERSED\tACCESSES:\tGRANTED\tREVOKED\tMOVED\t")
	answer.Total.Product = "total"
	for _, i := range append(answer.Products, answer.Total) {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\t%d\t%d\t%d\t\n", i.Product, i.New, i.Changed, i.Refunds, i.Reversed, i.Granted, i.Revoked, i.Moved)
	}
	err := w.Flush()
	if list != "" {
		_, _ = fmt.Fprintf(out, "\nThe full list: %s\n", list)
	}
	return err
}

// differencesFile is the full list as CSV.
type differencesFile struct {
	file *os.File
	csv  *csv.Writer
}

func newDifferencesFile(path string) (*differencesFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // it names players
	if err != nil {
		return nil, err
	}
	d := &differencesFile{file, csv.NewWriter(file)}
	return d, d.csv.Write([]string{"what", "app_user_id", "product", "store", "environment", "transaction_id", "module", "until", "until_before"})
}

func (d *differencesFile) write(x backfill.Difference) error {
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return d.csv.Write([]string{
		x.What, x.Player, x.Product, string(x.Purchase.Store), string(x.Purchase.Environment), x.Purchase.TransactionID, x.Module,
		moment(x.Until), moment(x.UntilBefore),
	})
}

func (d *differencesFile) close() error {
	d.csv.Flush()
	return errors.Join(d.csv.Error(), d.file.Close())
}
