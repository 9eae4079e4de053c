package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
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
that the feed should have and lacks. Exit code 1: something of ours does not agree, or rows
could not be read.`
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
		missed, closeMissed, err := c.missed()
		if err != nil {
			return err
		}
		report, err := currencyfeed.Run(ctx, currencyfeed.Config{
			DB: p.db, Settler: feedSettler{p, desk}, Margin: c.Margin, DryRun: c.DryRun, Record: c.Record, Missed: missed,
			Rejected: func(err error) { _, _ = fmt.Fprintln(io.Err, "sluice: not read:", err) },
		}, listing.Files)
		if err := errors.Join(err, closeMissed()); err != nil {
			return err
		}
		if c.JSON {
			err = printJSON(io, report)
		} else {
			c.print(io, report)
		}
		if err == nil && report.Wrong() {
			err = errors.New("the ledgers do not agree, or rows could not be read: see above")
		}
		return err
	})
}

// missed writes the changes that are nobody's to a file, if one is wished for.
func (c backfillCurrencyCommand) missed() (write func(currencyfeed.Change) error, end func() error, err error) {
	if c.CSV == "" {
		return nil, func() error { return nil }, nil
	}
	file, err := os.OpenFile(c.CSV, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // it names players
	if err != nil {
		return nil, nil, err
	}
	w := csv.NewWriter(file)
	err = w.Write([]string{"event_timestamp", "app_user_id", "transaction_type", "currency_code", "adjustment_amount", "idempotency_key", "store_transaction_id", "file", "line"})
	return func(change currencyfeed.Change) error {
			return w.Write([]string{
				change.At.UTC().Format(time.RFC3339), change.AppUserID, change.State, change.Currency, strconv.FormatInt(change.Units, 10),
				change.Key, change.TransactionID, change.File, strconv.FormatInt(change.Line, 10),
			})
		}, func() error {
			w.Flush()
			return errors.Join(w.Error(), file.Close())
		}, err
}

// feedShown bounds the lines of each list on the screen; --json and --csv have more.
const feedShown = 20

func (backfillCurrencyCommand) print(io stdio, r currencyfeed.Report) {
	out := func(format string, args ...any) { _, _ = fmt.Fprintf(io.Out, format+"\n", args...) }
	out("%s: %d rows from %s until %s, %d could not be read", strings.Join(r.Files, ", "), r.Rows, stamp(r.From), stamp(r.Until), r.Rejected)
	if r.LeftOut > 0 {
		out("%d files of older snapshots were left out: the newest is whole", r.LeftOut)
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
	changes(out, "differ from our ledger or are refused in it", r.Differing, r.Differs)
	changes(out, "are in our ledger and should be in the feed", r.Lacking, r.Lacks)
	changes(out, "are nobody's", r.Nobodys, r.Movements)
	if r.Recorded > 0 {
		out("%d of them were written into our ledger", r.Recorded)
	}
	out("%d changes of ours and %d of RevenueCat's own agree", r.Ours, r.Known)
}

func changes(out func(string, ...any), what string, count int64, list []currencyfeed.Change) {
	if count == 0 {
		return
	}
	out("%d changes %s:", count, what)
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
