package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/outbox"
)

// desk is where operators act in this process.
func (p *process) desk() *operations.Desk {
	return operations.New(operations.Config{
		DB: p.db, Committer: p.committer, Catalogs: p.catalogs, Owed: consumers.Subscriptions(specs),
		Alone: p.config.RefundAlone, Now: clock, NewID: outbox.NewID,
	})
}

// readingDesk is a desk that only looks.
func readingDesk(db *sqlx.DB) *operations.Desk { return operations.New(operations.Config{DB: db}) }

// act is what every act of an operator must and may say.
type act struct {
	Reason string `help:"Why. Kept in the audit." required:""`
	by
}

// by is who acts.
type by struct {
	By string `help:"Who wants it, if not the one who is logged in here. The audit keeps both." placeholder:"NAME"`
}

// who acts: what --by says, and who is certainly logged in.
func (b by) who() operations.Who {
	login := operator()
	return operations.Who{Name: cmp.Or(strings.TrimSpace(b.By), login), Login: login, Via: operations.CLI}
}

// atDesk starts what an act needs, and does it.
func atDesk(ctx context.Context, io stdio, do func(*process, *operations.Desk) error) error {
	p, err := startSettling(ctx, io)
	if err != nil {
		return err
	}
	defer p.close()
	return usage(do(p, p.desk()))
}

// lookAtDesk opens what a look needs, and looks.
func lookAtDesk(ctx context.Context, look func(*operations.Desk) error) error {
	return lookWith(ctx, func(_ config.Config, desk *operations.Desk) error { return look(desk) })
}

// lookWith is lookAtDesk for who needs the settings, too.
func lookWith(ctx context.Context, look func(config.Config, *operations.Desk) error) error {
	cfg, db, err := openDatabase(ctx, loadOperatorConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return usage(databaseError(cfg, look(cfg, readingDesk(db))))
}

// usage gives what an operator wrote wrongly its exit code.
func usage(err error) error {
	if _, bad := errors.AsType[*operations.InputError](err); bad {
		return exitError{err, exitBadUsage}
	}
	return err
}

// table starts a table with its heading.
func table(io stdio, heading string) *tabwriter.Writer {
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, heading)
	return w
}

// stamp writes a moment for a table; nothing for none.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// short cuts a text for one line of a table.
func short(text string) string {
	const most = 100
	text = strings.Join(strings.Fields(text), " ")
	if len([]rune(text)) > most {
		return string([]rune(text)[:most]) + "…"
	}
	return text
}
