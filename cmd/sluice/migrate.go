package main

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// migrateCommand brings the schema up to date.
type migrateCommand struct{}

// Help says when it is run.
func (migrateCommand) Help() string {
	return `Needs SLUICE_DATABASE_URL. Run it once per release: the roles refuse to start on a schema that
is not current. Changes go forward only; a second run finds nothing to do.`
}

// Run applies what is missing. Several at once are safe: one works, the others
// wait and find nothing to do.
func (migrateCommand) Run(ctx context.Context, io stdio) error {
	cfg, db, err := openDatabase(ctx, loadConfig, config.RoleMigrate)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := postgres.Migrate(ctx, db, newLog(cfg.Log, io.Err)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.Out, "schema is current")
	return err
}

// openDatabase reads the settings for a role and opens the database they name.
func openDatabase(ctx context.Context, load func(config.Role) (config.Config, error), role config.Role) (config.Config, *sqlx.DB, error) {
	cfg, err := load(role)
	if err != nil {
		return config.Config{}, nil, err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: cfg.Database.URL.Reveal()})
	return cfg, db, err
}
