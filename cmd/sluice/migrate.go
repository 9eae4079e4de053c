package main

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// migrateCommand brings the schema up to date.
type migrateCommand struct{}

// Run applies what is missing. Several at once are safe: one works, the others
// wait and find nothing to do.
func (migrateCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(config.RoleMigrate)
	if err != nil {
		return err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: cfg.Database.URL.Reveal()})
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
