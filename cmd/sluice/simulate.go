package main

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// simulateCommand runs only the RevenueCat simulator.
type simulateCommand struct {
	Addr       string `help:"Address to listen on." default:"127.0.0.1:8081"`
	Project    string `help:"Project id it answers to." default:"proj_sim"`
	Key        string `help:"Secret key it accepts; empty accepts every Bearer key." env:"SLUICE_REVENUECAT_SECRET_KEY"`
	Journal    string `help:"File that keeps balances and transactions over a restart; empty keeps them in memory." type:"path"`
	Rate       int    `help:"Calls a minute of each limited domain, as RevenueCat's 480; 0 is no limit." default:"0"`
	AutoCreate bool   `help:"Let a customer nobody created hold nothing, instead of answering 404."`
}

// Run serves until a signal comes.
func (c simulateCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(config.RoleSimulate)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, io.Err)
	sim, err := simulator.New(simulator.Config{
		ProjectID: c.Project, SecretKey: c.Key, Log: log, RatePerMinute: c.Rate, AutoCreate: c.AutoCreate, JournalPath: c.Journal,
	})
	if err != nil {
		return err
	}
	defer func() { _ = sim.Close() }()
	if _, err := fmt.Fprintf(io.Out, "RevenueCat simulator: http://%s/v2 (project %s), controls: http://%s/control\n", c.Addr, c.Project, c.Addr); err != nil {
		return err
	}
	return listen(ctx, c.Addr, sim, log, listener{})
}
