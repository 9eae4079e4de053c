package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/operations"
)

// actsCommand shows the audit.
type actsCommand struct {
	Deed    string        `help:"Only these, such as spend.cancel, or all of spend."`
	Subject string        `help:"Only those on this: a spend's id, EVENT/CONSUMER, consumer:adjust, item:sword."`
	Player  string        `help:"Only those on what is this player's."`
	Who     string        `help:"Only those of this person."`
	Within  time.Duration `help:"Only those of this long, such as 24h." placeholder:"DURATION"`
	Limit   int           `help:"The most to show." default:"100"`
	JSON    bool          `help:"Print JSON, with what was before and after." name:"json"`
}

// Help says what an act is.
func (actsCommand) Help() string {
	return `Every act of an operator, from here and from the console, newest first: who did what to
what, when and why. The line is written in the commit of the act itself, and PostgreSQL
refuses to change or delete one.`
}

// Run prints the table.
func (c actsCommand) Run(ctx context.Context, io stdio) error {
	filter := operations.ActFilter{Deed: operations.Deed(c.Deed), Subject: c.Subject, Player: c.Player, Who: c.Who, Limit: c.Limit}
	if c.Within > 0 {
		filter.Since = clock().Add(-c.Within)
	}
	return lookAtDesk(ctx, func(desk *operations.Desk) error {
		list, err := desk.Acts(ctx, filter)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, map[string]any{"acts": list})
		}
		w := table(io, "AT\tWHO\tVIA\tDEED\tSUBJECT\tREASON")
		for _, a := range list {
			who := a.Who
			if a.Login != a.Who {
				who += " (" + a.Login + ")"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", stamp(a.At), who, a.Via, a.Deed, a.Subject, short(a.Reason))
		}
		return w.Flush()
	})
}
