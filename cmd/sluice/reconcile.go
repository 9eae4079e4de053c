package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/events"
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
	JSON      bool          `help:"Print JSON." name:"json"`
	by
}

// Help says what is compared, and how a run is broken off and goes on.
func (reconcileCommand) Help() string {
	return `Compares what RevenueCat says that players hold with what our ledger says. Each player costs
one call of the customer_information limit, with the least weight there is: players come
first. So do the readings of --purchases. A balance is compared only while no call of ours is open and our ledger rests, and a
difference counts only when it is the same again after --settle. The same command goes on where
it was broken off; --anew begins again. Exit code 1: differences remain. docs/books.md says what to do.`
}

// Run compares, and prints the report.
func (c reconcileCommand) Run(ctx context.Context, io stdio) error {
	if err := c.check(); err != nil {
		return exitError{err, exitBadUsage}
	}
	cfg, err := loadOperatorConfig(config.RoleWork)
	if err != nil {
		return err
	}
	log := newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err)
	p, err := startCalling(ctx, "reconcile", cfg, log)
	if err != nil {
		return databaseError(cfg, err)
	}
	defer p.close()
	told := time.Now()
	who := c.who()
	runner := &reconcile.Runner{
		DB: p.db, Provider: idleReadings{p.provider}, Customers: purchases.NewStore(p.db),
		Wish: p.wishFor(who.Name, c.Reason), Now: clock, NewID: outbox.NewID, Log: newLog(cfg.Log, io.Err), Settle: c.Settle,
		Progress: func(customers int) {
			if time.Since(told) >= progressEvery {
				told = time.Now()
				_, _ = fmt.Fprintf(io.Err, "sluice: %d players looked at\n", customers)
			}
		},
	}
	report, err := runner.Run(ctx, reconcile.Scope{
		Players: c.Player, Sample: c.Sample, Repair: c.Repair, Purchases: c.Purchases, Anew: c.Anew, Reason: strings.TrimSpace(c.Reason), By: who.Name, Login: who.Login,
	})
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
func (c reconcileCommand) write(ctx context.Context, runner *reconcile.Runner, runID string) (err error) {
	if c.CSV == "" {
		return nil
	}
	file, err := os.OpenFile(c.CSV, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // it names players
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := csv.NewWriter(file)
	if err := w.Write([]string{"customer_id", "currency", "ledger", "provider", "drift", "outcome", "why", "read_at"}); err != nil {
		return err
	}
	if err := runner.Each(ctx, runID, func(one reconcile.Result) error {
		return w.Write([]string{
			one.CustomerID, string(one.Currency), strconv.FormatInt(one.Ledger, 10), strconv.FormatInt(one.Provider, 10), strconv.FormatInt(one.Drift, 10),
			string(one.Outcome), one.Why, one.ReadAt.UTC().Format(time.RFC3339),
		})
	}); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
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
	if len(r.Results) > printedMax {
		_, _ = fmt.Fprintln(io.Out, "... --json and --csv have all")
	}
	_, _ = fmt.Fprintf(io.Out, "\n%d players: %d balances agree, %d differ, %d repaired, %d could not be judged\n",
		r.Customers, r.Outcomes[reconcile.Agrees], r.Outcomes[reconcile.Drift], r.Outcomes[reconcile.Repaired], r.Outcomes[reconcile.Unjudged])
	for _, currency := range slices.Sorted(maps.Keys(r.Drifts)) {
		total := r.Drifts[currency]
		_, _ = fmt.Fprintf(io.Out, "%s: %d players differ by %d; in total RevenueCat holds %+d\n", currency, total.Players, total.Units, total.Net)
	}
	if r.Wished > 0 {
		_, _ = fmt.Fprintf(io.Out, "purchases: %d of %d players read again by now (sluice lag, consumer resync), %d facts were news\n", r.Read, r.Wished, r.News)
	}
	return nil
}
