package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/operations"
)

// pausable names something that can be paused.
type pausable struct {
	Scope string `arg:"" help:"consumer, lane, item or currency." enum:"consumer,lane,item,currency"`
	Name  string `arg:"" help:"Its name, such as adjust, store, sword_of_dawn or GEM."`
}

// pauseCommand pauses.
type pauseCommand struct {
	pausable
	For time.Duration `help:"End it by itself after this time, such as 30m." placeholder:"DURATION"`
	act
}

// Help says what each pause does.
func (pauseCommand) Help() string {
	return `All processes follow within a second. What waits is not lost and does not count as failed.

  consumer NAME   its deliveries wait: what it has begun is finished, nothing more is begun
  lane NAME       the deliveries of a lane wait, of all consumers; webhooks are still taken in
  item NAME       POST /spend answers 403 for it; what was accepted before goes on
  currency CODE   the same for everything that costs the currency; POST /grants answers 403 too

sluice pauses lists what is paused.`
}

// Run pauses.
func (c pauseCommand) Run(ctx context.Context, io stdio) error {
	if err := c.known(); err != nil {
		return err
	}
	return atDesk(ctx, io, func(p *process, desk *operations.Desk) error {
		if c.Scope == string(operations.PauseItem) {
			if err := p.requireItem(ctx, c.Name); err != nil {
				return err
			}
		}
		if err := desk.PauseFor(ctx, c.who(), c.Reason, operations.Scope(c.Scope), c.Name, c.For); err != nil {
			return err
		}
		_, err := fmt.Fprintf(io.Out, "%s %s is paused.\n", c.Scope, c.Name)
		return err
	})
}

// known refuses a name that nothing has: a typo would pause nothing.
func (p pausable) known() error {
	var names []string
	switch operations.Scope(p.Scope) {
	case operations.PauseConsumer:
		return requireKnown([]string{p.Name})
	case operations.PauseLane:
		for _, lane := range events.Lanes {
			names = append(names, string(lane))
		}
		if !slices.Contains(names, p.Name) {
			return exitError{fmt.Errorf("no lane is called %q; there are %s", p.Name, strings.Join(names, ", ")), exitBadUsage}
		}
	case operations.PauseCurrency:
		if err := economy.Currency(p.Name).Validate(); err != nil {
			return exitError{err, exitBadUsage}
		}
	case operations.PauseItem: // the catalogue knows
	}
	return nil
}

// requireItem refuses an item that no version of the catalogue has had.
func (p *process) requireItem(ctx context.Context, item string) error {
	var known bool
	err := p.db.GetContext(ctx, &known, "SELECT EXISTS (SELECT FROM catalog_versions WHERE body->'items' ? $1)", item)
	if err == nil && !known {
		err = exitError{fmt.Errorf("no item is called %q in any version of the catalogue", item), exitBadUsage}
	}
	return err
}

// resumeCommand ends a pause.
type resumeCommand struct {
	pausable
	act
}

// Run resumes.
func (c resumeCommand) Run(ctx context.Context, io stdio) error {
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		if err := desk.Resume(ctx, c.who(), c.Reason, operations.Scope(c.Scope), c.Name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(io.Out, "%s %s goes on.\n", c.Scope, c.Name)
		return err
	})
}

// pausesCommand lists what is paused.
type pausesCommand struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Run prints the table.
func (c pausesCommand) Run(ctx context.Context, io stdio) error {
	return lookAtDesk(ctx, func(desk *operations.Desk) error {
		list, err := desk.Pauses(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, map[string]any{"pauses": list})
		}
		w := table(io, "SCOPE\tNAME\tSINCE\tUNTIL\tWHO\tREASON")
		for _, p := range list {
			until := "resumed"
			if p.Until != nil {
				until = stamp(*p.Until)
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Scope, p.Name, stamp(p.Since), until, p.Who, short(p.Reason))
		}
		return w.Flush()
	})
}
