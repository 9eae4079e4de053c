package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/retention"
)

// retainCommand lets old history go.
type retainCommand struct {
	DryRun bool `help:"Only list what would go, and what holds it."`
	JSON   bool `help:"Print JSON." name:"json"`
}

// Help says what goes by which setting, and what never does.
func (retainCommand) Help() string {
	return `By age, in days, 0 is never:

  SLUICE_WEBHOOK_BODY_DAYS      raw bodies of webhooks are cleared
  SLUICE_WEBHOOK_ROW_DAYS       webhooks are deleted; their keys stay for a year at least
  SLUICE_PURCHASE_VERSION_DAYS  single statements about purchases are deleted

Webhooks and statements lie in partitions by month. One goes whole, once all of it is old
enough, unless a delivery is owed, a dead letter is open or a claim is pending that needs
it: that is listed, and the rest of its old webhooks go one by one. Spends, the ledger,
purchases and what they brought never go. It makes the partitions of the coming months,
too, and needs the right to change the tables. Running it twice does nothing twice.`
}

// Run lists, or does, and prints what.
func (c retainCommand) Run(ctx context.Context, io stdio) error {
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	keep := newRetention(cfg, db, newLog(cfg.Log, io.Err))
	do := keep.Sweep
	if c.DryRun {
		do = keep.Plan
	}
	done, err := do(ctx)
	if printErr := c.print(io, done); printErr != nil {
		return printErr
	}
	return databaseError(cfg, err)
}

func (c retainCommand) print(io stdio, done []retention.Done) error {
	if c.JSON {
		return printJSON(io, map[string]any{"dry_run": c.DryRun, "done": append([]retention.Done{}, done...)})
	}
	if len(done) == 0 {
		_, err := fmt.Fprintln(io.Out, "nothing is old enough")
		return err
	}
	w := table(io, "TABLE\tPARTITION\tOLDER THAN\tROWS\tMB\tWHAT")
	for _, d := range done {
		until := "-"
		if d.Until != nil {
			until = d.Until.Format(time.DateOnly)
		}
		what := d.What
		if len(d.Open) > 0 {
			what += ": " + strings.Join(d.Open, ", ")
		}
		if c.DryRun {
			what = strings.NewReplacer("dropped", "would be dropped", "deleted", "would be deleted", "cleared", "would be cleared").Replace(what)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%.1f\t%s\n", d.Table, cmp.Or(d.Partition, "-"), until, d.Rows, float64(d.Bytes)/1e6, what)
	}
	return w.Flush()
}

// newRetention keeps to the settings' policy.
func newRetention(cfg config.Config, db *sqlx.DB, log *slog.Logger) *retention.Retention {
	const day = 24 * time.Hour
	w := cfg.Webhook
	return &retention.Retention{
		DB: db, Store: purchases.NewStore(db), Now: clock, Log: log,
		Policy: retention.Policy{
			WebhookBodies: time.Duration(w.BodyDays) * day, Webhooks: time.Duration(w.RowDays) * day, PurchaseVersions: time.Duration(w.VersionDays) * day,
		},
	}
}
