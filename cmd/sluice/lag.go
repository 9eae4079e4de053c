package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// lagCommand shows how far behind each consumer is.
type lagCommand struct {
	MaxAge     *time.Duration `help:"Exit with 3 when something unfinished is older than this, such as 30s."`
	MaxPending *int64         `help:"Exit with 3 when a consumer has more than this unfinished on a lane, in the broker or owed by the outbox."`
	JSON       bool           `help:"Print JSON." name:"json"`
}

// lagPatience bounds the whole look.
const lagPatience = 10 * time.Second

// Help says where the numbers come from and what they mean.
func (lagCommand) Help() string {
	return `Reads PostgreSQL and NATS as the settings name them, or those of the sluice dev that runs in
SLUICE_DATA_DIR.

  MESSAGES     unfinished in the broker
  OLDEST       age of the oldest of them, or of the oldest due delivery
  OWED         deliveries the outbox still owes, those in the broker included
  PARKED       of the owed, waiting for a later attempt
  REDELIVERED  of the messages, handed out more than once`
}

// Run prints one line per consumer and lane. What could be read is printed also
// when something else could not.
func (c lagCommand) Run(ctx context.Context, io stdio) error {
	if c.MaxAge != nil && *c.MaxAge < 0 || c.MaxPending != nil && *c.MaxPending < 0 {
		return exitError{errors.New("--max-age and --max-pending must be 0 or more"), exitBadUsage}
	}
	ctx, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleRelay)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	log := newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err)
	conn, err := broker.Connect(ctx, broker.Config{URL: cfg.NATS.URL.Reveal(), Name: "sluice-lag", Log: log})
	if err != nil {
		return err
	}
	defer conn.Close()
	collector := monitor.Collector{DB: db, Conn: conn}
	list, err := collector.Lag(ctx)
	if err != nil {
		err = errors.Join(brokerError(cfg, conn), databaseError(cfg, err))
	}
	webhooks, webhooksErr := collector.Webhooks(ctx, clock())
	if err == nil || len(list) > 0 {
		err = errors.Join(err, c.print(io, list, webhooks))
	}
	err = errors.Join(err, webhooksErr)
	return errors.Join(err, c.judge(list))
}

func (c lagCommand) print(io stdio, list []monitor.Lag, webhooks monitor.Webhooks) error {
	if c.JSON {
		return printJSON(io, map[string]any{"consumers": list, "webhooks": webhooks})
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CONSUMER\tLANE\tMESSAGES\tOLDEST\tOWED\tPARKED\tREDELIVERED\t")
	for _, lag := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\t%d\t%s\n", lag.Consumer, lag.Lane, lag.Messages,
			time.Duration(lag.OldestAge).Round(time.Millisecond), lag.Owed, lag.Parked, lag.Redelivered, lag.Error)
	}
	err := w.Flush()
	if webhooks.Silence > 0 {
		_, _ = fmt.Fprintf(io.Out, "\nThe last webhook came %s ago.\n", time.Duration(webhooks.Silence).Round(time.Second))
	}
	for _, gap := range webhooks.Suspect {
		_, _ = fmt.Fprintf(io.Out, "SUSPECT: %s.\n", gap)
	}
	return err
}

// judge returns why the list is above a threshold, with its own exit code, and
// whose numbers are incomplete: what nobody could read is not within bounds.
func (c lagCommand) judge(list []monitor.Lag) error {
	var problems, above []error
	for _, lag := range list {
		who := lag.Consumer + "/" + lag.Lane
		if lag.Error != "" {
			problems = append(problems, fmt.Errorf("%s: %s", who, lag.Error))
		}
		if age := time.Duration(lag.OldestAge); c.MaxAge != nil && age > *c.MaxAge {
			above = append(above, fmt.Errorf("%s: the oldest is %s old, more than %s", who, age.Round(time.Millisecond), *c.MaxAge))
		}
		if pending := max(lag.Owed, int64(lag.Messages)); c.MaxPending != nil && pending > *c.MaxPending {
			above = append(above, fmt.Errorf("%s: %d are unfinished, more than %d", who, pending, *c.MaxPending))
		}
	}
	if len(above) > 0 {
		problems = append(problems, exitError{errors.Join(above...), exitAbove})
	}
	return errors.Join(problems...)
}
