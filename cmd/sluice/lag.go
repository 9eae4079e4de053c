package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/monitor"
)

// lagCommand shows how far behind each consumer is.
type lagCommand struct {
	MaxAge     *time.Duration `help:"Exit with 3 when something unfinished is older than this, such as 30s."`
	MaxPending *int64         `help:"Exit with 3 when a consumer has more than this unfinished on a lane, in the broker or owed by the outbox."`
	Partitions bool           `help:"Show every partition that is owed something, too."`
	Watch      bool           `help:"Look again and again, until Ctrl-C; the exit code is that of the last look."`
	Every      time.Duration  `help:"With --watch: how often." default:"2s"`
	JSON       bool           `help:"Print JSON; with --watch one object a line." name:"json"`
}

// lagPatience bounds one look.
const lagPatience = 10 * time.Second

// Help says where the numbers come from and what they mean.
func (lagCommand) Help() string {
	return `Reads PostgreSQL and NATS as the settings name them, or those of the sluice dev that runs in
SLUICE_DATA_DIR. The console and /metrics show the same numbers, and the console's overview
begins with the same verdict: what needs attention, with the command that mends it.

  MESSAGES     unfinished in the broker
  IN HAND      of the messages, handed out and not done
  REDELIVERED  of those in hand, handed out more than once
  OLDEST       age of the oldest unfinished message or owed delivery, parked ones included
  OWED         deliveries the outbox still owes, those in the broker included
  PARKED       of the owed, waiting for a later attempt

STALLED says that messages wait and none was handed out for a while: nobody runs that
consumer, or it hangs.`
}

// Run prints one line per consumer and lane, and below what else there is to know.
// What could be read is printed also when something else could not.
func (c lagCommand) Run(ctx context.Context, io stdio) error {
	if c.MaxAge != nil && *c.MaxAge < 0 || c.MaxPending != nil && *c.MaxPending < 0 || c.Every <= 0 {
		return exitError{errors.New("--max-age and --max-pending must be 0 or more, --every more than 0"), exitBadUsage}
	}
	openCtx, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	cfg, db, err := openDatabase(openCtx, loadOperatorConfig, config.RoleRelay)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	log := newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err)
	conn, err := broker.Connect(openCtx, broker.Config{URL: cfg.NATS.URL.Reveal(), Name: "sluice-lag", Log: log})
	if err != nil {
		return err
	}
	defer conn.Close()
	look := c.look(io, cfg, db, conn)
	if !c.Watch {
		return look(ctx)
	}
	return c.watch(ctx, io, look)
}

// look returns what looks once, prints it, and returns what is wrong with it.
func (c lagCommand) look(io stdio, cfg config.Config, db *sqlx.DB, conn *broker.Conn) func(context.Context) error {
	m := monitor.New(db, conn, endpointNames(cfg.HandOver)...)
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, lagPatience)
		defer cancel()
		s, err := m.Snapshot(ctx)
		if err != nil {
			err = errors.Join(brokerError(cfg, conn), databaseError(cfg, err))
		}
		if s.Reachable.PostgreSQL || s.Reachable.NATS {
			err = errors.Join(err, c.print(io, s))
		}
		return errors.Join(err, c.judge(s))
	}
}

// clearScreen is what a terminal understands: home, and nothing below.
const clearScreen = "\x1b[H\x1b[2J"

// watch looks until ctx ends, through outages of what it looks at.
func (c lagCommand) watch(ctx context.Context, io stdio, look func(context.Context) error) (err error) {
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	for {
		if !c.JSON && onTerminal(io.Out) {
			_, _ = fmt.Fprint(io.Out, clearScreen)
		}
		if now := look(ctx); ctx.Err() == nil {
			err = now
		}
		if err != nil && ctx.Err() == nil {
			_, _ = fmt.Fprintln(io.Err, "sluice:", err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// judge returns what is above a threshold, with its own exit code, and whose numbers
// are incomplete: what nobody could read is not within bounds.
func (c lagCommand) judge(s monitor.Snapshot) error {
	var problems, above []error
	for _, lag := range s.Consumers {
		who := lag.Consumer + "/" + lag.Lane
		if lag.Error != "" {
			problems = append(problems, fmt.Errorf("%s: %s", who, lag.Error))
		}
		if age := time.Duration(lag.OldestAge); c.MaxAge != nil && age > *c.MaxAge {
			above = append(above, fmt.Errorf("%s: the oldest is %s old, more than %s", who, age.Round(time.Millisecond), *c.MaxAge))
		}
		if pending := max(lag.Owed, int64(lag.Messages)); c.MaxPending != nil && pending > *c.MaxPending {
			above = append(above, fmt.Errorf("%s: %s unfinished, more than %d", who, plural(pending, "is", "are"), *c.MaxPending))
		}
	}
	for _, e := range s.Endpoints {
		if age := time.Duration(e.OldestAge); e.Waiting() > 0 && c.MaxAge != nil && age > *c.MaxAge {
			above = append(above, fmt.Errorf("the game's server %s (circuit %s): a spend has waited for it for %s, more than %s", e.Name, e.Circuit, age.Round(time.Millisecond), *c.MaxAge))
		}
	}
	if len(above) > 0 {
		problems = append(problems, exitError{errors.Join(above...), exitAbove})
	}
	return errors.Join(problems...)
}
