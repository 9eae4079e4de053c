package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/exports"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/producers/currencyfeed"
)

// backfillCurrencyCommand holds the provider's ledger against ours.
type backfillCurrencyCommand struct {
	URLs   []string      `arg:"" name:"url" help:"Files, folders, globs or s3:// URLs of the In-App Currency feed. Of several snapshots the newest is read: each is whole."`
	DryRun bool          `help:"Say what would be settled and recorded, and change nothing."`
	Record bool          `help:"Write what RevenueCat moved by itself, and no webhook told, into our ledger. Deductions that are nobody's are left to you."`
	Margin time.Duration `help:"How much older than the feed's newest row something must be to be missed in it." default:"1h"`
	Since  time.Time     `help:"Deductions that are nobody's count from then on only: what came before Sluice is not told of again. Such as 2026-03-01T12:00:00Z."`
	CSV    string        `help:"Write every change that is nobody's to this file." placeholder:"FILE" name:"csv"`
	JSON   bool          `help:"Print JSON." name:"json"`
}

// Help says what is compared and what is settled.
func (backfillCurrencyCommand) Help() string {
	return `Every row of the feed is held against our ledger by its idempotency key. A spend, refund or
grant of unknown outcome is settled when the feed has its key with the same sum; or when the
feed lacks it, although it has our other keys, is whole, and reaches past the time at which
RevenueCat said that it had seen the key. What the feed does not prove stays as it is, with
the reason. It lists changes that are nobody's, changes of ours with other sums, and those
that the feed should have and lacks.

Exit code 1: something of ours does not agree, or rows could not be read. Exit code 3: all of ours agrees, and
there are deductions that are nobody's: somebody else has a key to RevenueCat. From a timer use --record, and
--since with the day on which Sluice began. The last line says which it is.`
}

// Run compares one snapshot.
func (c backfillCurrencyCommand) Run(ctx context.Context, io stdio) error {
	if c.Margin <= 0 {
		return exitError{errors.New("--margin must be more than 0, such as 1h"), exitBadUsage}
	}
	listing, err := exports.Find(ctx, c.URLs, exports.Currency)
	if err != nil {
		return exitError{err, exitBadUsage}
	}
	for _, warning := range listing.Warnings {
		_, _ = fmt.Fprintln(io.Err, "sluice:", warning)
	}
	return atDesk(ctx, io, func(p *process, desk *operations.Desk) error {
		list, closeMissed, err := c.missed()
		if err != nil {
			return err
		}
		var taken, others int64
		missed := func(change currencyfeed.Change) error {
			switch {
			case change.State != deduction:
				others++
			case !change.At.Before(c.Since):
				taken++
			}
			return list(change)
		}
		report, err := currencyfeed.Run(ctx, currencyfeed.Config{
			DB: p.db, Settler: feedSettler{p, desk}, Margin: c.Margin, DryRun: c.DryRun, Record: c.Record, Missed: missed,
			Rejected: func(err error) { _, _ = fmt.Fprintln(io.Err, "sluice: not read:", err) },
		}, listing.Files)
		if err := errors.Join(err, closeMissed()); err != nil {
			return err
		}
		if c.JSON {
			err = printJSON(io, currencyAnswer{report, taken})
		} else {
			c.print(io, report)
		}
		if err == nil {
			err = c.verdict(io, report, taken, others-report.Recorded)
		}
		return err
	})
}

// deduction is the feed's type of what calls take.
const deduction = "DEDUCTION"

// currencyAnswer is the answer as JSON.
type currencyAnswer struct {
	currencyfeed.Report

	Taken int64 `json:"nobodys_deductions"` // of nobodys, since --since
}

// verdict is the last line, and the exit code. taken are deductions that are nobody's,
// missed the other changes that our ledger lacks.
func (c backfillCurrencyCommand) verdict(io stdio, report currencyfeed.Report, taken, missed int64) error {
	if report.Wrong() {
		return errors.New("the ledgers do not agree, or rows could not be read: see above, and docs/books.md")
	}
	if taken > 0 {
		return exitError{fmt.Errorf("%s nobody's: somebody else took currency with a key to RevenueCat. "+
			"--csv lists all; rotate the key if it is not yours. --since TIME leaves out those before then", plural(taken, "deduction is", "deductions are")), exitAbove}
	}
	if c.JSON {
		return nil
	}
	text := "Result: all of ours agrees, and no deduction is nobody's."
	if !c.Since.IsZero() {
		text = "Result: all of ours agrees, and no deduction since " + stamp(c.Since) + " is nobody's."
	}
	if missed > 0 {
		text += " " + plural(missed, "change by RevenueCat is", "changes by RevenueCat are") + " not in our ledger: --record writes what is older than --margin."
	}
	_, err := fmt.Fprintln(io.Out, text)
	return err
}

// missed writes the changes that are nobody's to a file, if one is wished for.
func (c backfillCurrencyCommand) missed() (write func(currencyfeed.Change) error, end func() error, err error) {
	columns := []string{"event_timestamp", "app_user_id", "transaction_type", "currency_code", "adjustment_amount", "idempotency_key", "store_transaction_id", "file", "line"}
	return listFile(c.CSV, columns, func(change currencyfeed.Change) []string {
		return []string{
			change.At.UTC().Format(time.RFC3339), change.AppUserID, change.State, change.Currency, strconv.FormatInt(change.Units, 10),
			change.Key, change.TransactionID, change.File, strconv.FormatInt(change.Line, 10),
		}
	})
}

// feedShown bounds the lines of each list on the screen; --json and --csv have more.
const feedShown = 20

func (backfillCurrencyCommand) print(io stdio, r currencyfeed.Report) {
	out := func(format string, args ...any) { _, _ = fmt.Fprintf(io.Out, format+"\n", args...) }
	out("%s: %s from %s until %s, %d could not be read", strings.Join(r.Files, ", "), plural(r.Rows, "row", "rows"), stamp(r.From), stamp(r.Until), r.Rejected)
	if r.LeftOut > 0 {
		out("%s of older snapshots left out: the newest is whole", plural(r.LeftOut, "file", "files"))
	}
	for _, warning := range r.Warnings {
		out("%s", warning)
	}
	settled := "settled"
	if r.DryRun {
		settled = "would be settled"
	}
	for _, one := range r.Settled {
		word := "not applied"
		if one.Applied {
			word = "applied"
		}
		out("%s as %s: %s of spend %s: %s", settled, word, one.Purpose, one.SpendID, one.Evidence)
	}
	for _, one := range r.Unsettled {
		out("not settled: %s of spend %s: %s", one.Purpose, one.SpendID, one.Evidence)
	}
	changes(out, plural(r.Differing, "change differs from our ledger or is refused in it", "changes differ from our ledger or are refused in it"), r.Differing, r.Differs)
	changes(out, plural(r.Lacking, "change is in our ledger and should be in the feed", "changes are in our ledger and should be in the feed"), r.Lacking, r.Lacks)
	changes(out, plural(r.Nobodys, "change is nobody's", "changes are nobody's"), r.Nobodys, r.Movements)
	if r.Recorded > 0 {
		out("%s written into our ledger", plural(r.Recorded, "of them was", "of them were"))
	}
	out("%s of ours and %d of RevenueCat's own agree", plural(r.Ours, "change", "changes"), r.Known)
}

func changes(out func(string, ...any), what string, count int64, list []currencyfeed.Change) {
	if count == 0 {
		return
	}
	out("%s:", what)
	for _, change := range list[:min(len(list), feedShown)] {
		out("  %s player %s: %+d %s by the feed, %+d by us (%s), key %s", stamp(change.At), change.AppUserID, change.Units, change.Currency, change.Ours, change.State, change.Key)
	}
	if count > feedShown {
		out("  ...")
	}
}

// feedSettler settles by the feed's word, as sluice spend settle does by an
// operator's, with the same line in the audit.
type feedSettler struct {
	p    *process
	desk *operations.Desk
}

// Settle implements currencyfeed.Settler.
func (s feedSettler) Settle(ctx context.Context, spendID string, attempt int64, applied bool, evidence string) error {
	spend, err := s.p.books.Spend(ctx, spendID)
	if err != nil {
		return err
	}
	committer := s.desk.Auditing(by{}.who(), evidence, operations.DeedSettleSpend, spend, nil)
	_, err = adjustments.Decide(ctx, adjustments.Store{DB: s.p.db}, committer, spend,
		adjustments.Decision{Attempt: attempt, Applied: applied, Reason: evidence, By: "the currency feed"}, clock())
	return err
}
