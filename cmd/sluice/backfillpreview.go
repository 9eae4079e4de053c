package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/producers/backfill"
)

// preview prints what a command about a list or an archive would do, and does nothing.
func (f backfillFlags) preview(ctx context.Context, io stdio, cfg config.Config, db *sqlx.DB, command backfill.Command, list string) (err error) {
	files, err := f.find(ctx, io, command)
	if err != nil {
		return err
	}
	progress := newBackfillProgress(io)
	p := backfill.Preview{DB: db, Judge: webhookPolicy(cfg).Judge, Now: clock, Report: progress.report}
	if list != "" {
		each, end, openErr := previewList(list)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, end()) }()
		p.Each = each
	}
	answer, err := p.Run(ctx, command, files)
	progress.end()
	if err != nil {
		return err
	}
	return f.foretell(io, answer, foretold{answer.Refusals, answer.Unreadable, answer.Counts.Refused, list},
		func() error { return printPreview(io.Out, command.Feed, answer, list) })
}

func printPreview(out io.Writer, feed exports.Feed, answer backfill.Summary, list string) error {
	c := answer.Counts
	_, _ = fmt.Fprintf(out, "Nothing was changed. Of %s rows, %s tell something new (%s are known, %s filtered, %s rejected).\n",
		monitor.Number(c.Rows()), monitor.Number(c.New), monitor.Number(c.Same), monitor.Number(c.Skipped), monitor.Number(c.Refused))
	heading := "TYPE"
	if feed == exports.Customers {
		_, _ = fmt.Fprintf(out, "%s ids would be linked, and %s customers would be read from RevenueCat again.\n", monitor.Number(c.Links), monitor.Number(c.Wishes))
		heading = "READ BECAUSE OF"
	}
	if c.Apart > 0 {
		_, _ = fmt.Fprintf(out, "%s of the new events are of an environment that SLUICE_WEBHOOK_ENVIRONMENT does not take: they would be kept, and change nothing.\n", monitor.Number(c.Apart))
	}
	if len(answer.By) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(w, "\n%s\tNEW\n", heading)
		most := slices.SortedFunc(maps.Keys(answer.By), func(a, b string) int { return cmp.Or(cmp.Compare(answer.By[b], answer.By[a]), cmp.Compare(a, b)) })
		for _, name := range most {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", name, monitor.Number(answer.By[name]))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	var err error
	if list != "" {
		_, err = fmt.Fprintf(out, "\nThe full list: %s\n", list)
	}
	return err
}

// previewList writes everything that would be done to a file.
func previewList(path string) (each func(backfill.Previewed) error, end func() error, err error) {
	return listFile(path, []string{"what", "app_user_id", "of", "why", "file", "line"}, func(p backfill.Previewed) []string {
		return []string{p.What, p.Player, p.Of, p.Why, p.File, strconv.FormatInt(p.Line, 10)}
	})
}
