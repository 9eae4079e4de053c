package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// migrateCommand brings the schema up to date.
type migrateCommand struct {
	Pending bool `help:"Apply nothing: list what would be applied, and the tables that it locks with their rows."`
	JSON    bool `help:"With --pending: print JSON." name:"json"`
}

// Help says when it is run.
func (migrateCommand) Help() string {
	return `Needs SLUICE_DATABASE_URL. Run it once per release: the roles refuse to start on a schema that
is not current. Changes go forward only; a second run finds nothing to do. On a large database
look at --pending first: docs/deploy.md says which migrations take long, and what to stop meanwhile.`
}

// Run applies what is missing. Several at once are safe: one works, the others
// wait and find nothing to do.
func (c migrateCommand) Run(ctx context.Context, io stdio) error {
	if c.JSON && !c.Pending {
		return exitError{errors.New("--json belongs to --pending"), exitBadUsage}
	}
	cfg, db, err := openDatabase(ctx, loadConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if c.Pending {
		return c.pending(ctx, io, db)
	}
	if err := postgres.Migrate(ctx, db, newLog(cfg.Log, io.Err)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.Out, "schema is current")
	return err
}

// pending prints what is to be applied.
func (c migrateCommand) pending(ctx context.Context, io stdio, db *sqlx.DB) error {
	list, err := postgres.PendingMigrations(ctx, db)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(io, map[string]any{"pending": list})
	case len(list) == 0:
		_, err = fmt.Fprintln(io.Out, "schema is current")
		return err
	}
	w := table(io, "MIGRATION\tLOCKS\tROWS (ABOUT)")
	for _, one := range list {
		if len(one.Tables) == 0 {
			_, _ = fmt.Fprintf(w, "%s\t-\t-\n", one.File)
		}
		for _, locked := range one.Tables {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", one.File, locked.Name, monitor.Number(locked.Rows))
		}
	}
	return w.Flush()
}

// openDatabase reads the settings for a role and opens the database they name.
func openDatabase(ctx context.Context, load func(context.Context, config.Role) (config.Config, error), role config.Role) (config.Config, *sqlx.DB, error) {
	cfg, err := load(ctx, role)
	if err != nil {
		return config.Config{}, nil, err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: cfg.Database.URL.Reveal()})
	return cfg, db, err
}
