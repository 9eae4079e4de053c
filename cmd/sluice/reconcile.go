package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/reconcile"
	"github.com/sluice-gems/sluice/outbox"
)

// reconcileCommand compares the provider with our books.
type reconcileCommand struct {
	Player    []string      `help:"Only these players; may be repeated." placeholder:"ID"`
	Sample    int           `help:"Only so many players, drawn by chance." placeholder:"N"`
	Purchases bool          `help:"Have the purchases of each read again, too, by sluice work (consumer resync)."`
	Repair    bool          `help:"Where a difference remains, add a correcting line to our ledger. RevenueCat's balance is never touched."`
	Reason    string        `help:"Why; with --repair. Kept in the audit."`
	Settle    time.Duration `help:"How long a difference must last: a webhook may be on its way." default:"2m"`
	Anew      bool          `help:"Begin anew, where the same command was broken off before."`
	CSV       string        `help:"Write every balance that was compared to this file." placeholder:"FILE" name:"csv"`
	JSON      bool          `help:"Print JSON, with the first 1,000 balances that do not agree." name:"json"`
	by
}

// Help says what is compared, and how a run is broken off and goes on.
func (reconcileCommand) Help() string {
	return `Compares what RevenueCat says that players hold with what our ledger says. Each player costs
one call of the customer_information limit, with the least weight there is: players come
first. So do the readings of --purchases. A balance is compared only while no call of ours is open and our ledger rests, and a
difference counts only when it is the same again after --settle; until when that is waited for is
told meanwhile. The same command goes on where
it was broken off; --anew begins again. Exit code 1: differences remain. docs/books.md says what to do.`
}

// Run compares, and prints the report.
func (c reconcileCommand) Run(ctx context.Context, io stdio) error {
	if err := c.check(); err != nil {
		return exitError{err, exitBadUsage}
	}
	cfg, err := loadOperatorConfig(ctx, config.RoleWork)
	if err != nil {
		return err
	}
	log := newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err)
	p, err := startCalling(ctx, "reconcile", cfg, log)
	if err != nil {
		return databaseError(cfg, err)
	}
	defer p.close()
	who := c.who()
	progress := newReconcileProgress(io)
	defer progress.end()
	runner := &reconcile.Runner{
		DB: p.db, Provider: idleReadings{p.provider}, Customers: purchases.NewStore(p.db),
		Wish: p.wishFor(who.Name, c.Reason), Now: clock, NewID: outbox.NewID, Log: newLog(cfg.Log, io.Err), Settle: c.Settle,
		Progress: progress.looked, Settling: progress.settling,
	}
	report, err := runner.Run(ctx, reconcile.Scope{
		Players: c.Player, Sample: c.Sample, Repair: c.Repair, Purchases: c.Purchases, Anew: c.Anew, Reason: strings.TrimSpace(c.Reason), By: who.Name, Login: who.Login,
	})
	progress.end()
	if err != nil {
		return fmt.Errorf("%w; the same command goes on from here", err)
	}
	if err := c.write(ctx, runner, report.RunID); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(io, report)
	} else {
		err = printReconciled(io, report)
	}
	if err == nil && report.Drifting() {
		err = errors.New("balances differ from our ledger: docs/books.md says what to do")
	}
	return err
}

func (c reconcileCommand) check() error {
	switch {
	case len(c.Player) > 0 && c.Sample != 0:
		return errors.New("either --player or --sample")
	case c.Sample < 0, c.Settle <= 0:
		return errors.New("--sample must not be below 0, and --settle must be more than 0, such as 2m")
	case c.Repair && strings.TrimSpace(c.Reason) == "":
		return errors.New("--repair needs a --reason: it is kept in the audit")
	case slices.Contains(c.Player, ""):
		return errors.New("--player names nobody")
	}
	return nil
}

// wishFor has a customer's purchases read again, behind everything else.
func (p *process) wishFor(who, reason string) func(context.Context, string) error {
	return func(ctx context.Context, player string) error {
		at := clock()
		wish := events.NewCustomerResyncRequested(events.Bulk, events.ResyncOperator, outbox.NewID(), player, at)
		_, err := p.committer.Commit(ctx, outbox.Effects{
			Guard: purchases.Wished{AppUserID: player, At: at, By: strings.TrimSuffix(who+": reconcile: "+reason, ": ")}, Events: []events.Event{wish}, Owner: player,
		})
		return err
	}
}

// write writes every balance of the run to the file, if one is wished for.
func (c reconcileCommand) write(ctx context.Context, runner *reconcile.Runner, runID string) error {
	if c.CSV == "" {
		return nil
	}
	columns := []string{"customer_id", "currency", "ledger", "provider", "drift", "outcome", "why", "read_at"}
	each, end, err := listFile(c.CSV, columns, func(one reconcile.Result) []string {
		return []string{
			one.CustomerID, string(one.Currency), strconv.FormatInt(one.Ledger, 10), strconv.FormatInt(one.Provider, 10), strconv.FormatInt(one.Drift, 10),
			string(one.Outcome), one.Why, one.ReadAt.UTC().Format(time.RFC3339),
		}
	})
	if err != nil {
		return err
	}
	return errors.Join(runner.Each(ctx, runID, each), end())
}

func printReconciled(io stdio, r reconcile.Report) error {
	w := table(io, "OUTCOME\tPLAYER\tCURRENCY\tOUR LEDGER\tREVENUECAT\tDRIFT\tWHY")
	for _, one := range r.Results[:min(len(r.Results), printedMax)] {
		if one.Currency == "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\t\t\t\t\t%s\n", one.Outcome, one.CustomerID, one.Why)
			continue
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%+d\t%s\n", one.Outcome, one.CustomerID, one.Currency, one.Ledger, one.Provider, one.Drift, one.Why)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more := r.More + int64(max(0, len(r.Results)-printedMax)); more > 0 {
		_, _ = fmt.Fprintf(io.Out, "... and %s more: --csv has all\n", monitor.Number(more))
	}
	_, _ = fmt.Fprintf(io.Out, "\n%s: %s, %s, %d repaired, %d could not be judged\n", plural(r.Customers, "player", "players"),
		plural(r.Outcomes[reconcile.Agrees], "balance agrees", "balances agree"), plural(r.Outcomes[reconcile.Drift], "differs", "differ"), r.Outcomes[reconcile.Repaired], r.Outcomes[reconcile.Unjudged])
	for _, currency := range slices.Sorted(maps.Keys(r.Drifts)) {
		total := r.Drifts[currency]
		_, _ = fmt.Fprintf(io.Out, "%s: %s by %d; in total RevenueCat holds %+d\n", currency, plural(total.Players, "player differs", "players differ"), total.Units, total.Net)
	}
	if r.Wished > 0 {
		_, _ = fmt.Fprintf(io.Out, "purchases: %d of %s read again by now (sluice lag, consumer resync), %s news\n", r.Read, plural(r.Wished, "player", "players"), plural(r.News, "fact was", "facts were"))
	}
	return nil
}
