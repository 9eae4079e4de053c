package main

import (
	"cmp"
	"context"
	"fmt"
	"net"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
)

// simulateCommand runs only the RevenueCat simulator. Its stores sell what the
// catalogue lists (SLUICE_CATALOG).
type simulateCommand struct {
	Addr          string  `help:"Address to listen on." default:"127.0.0.1:8081"`
	Project       string  `help:"Project id it answers to." default:"proj_sim"`
	Key           string  `help:"Secret key it accepts; default: SLUICE_REVENUECAT_SECRET_KEY, and every Bearer key when that is unset."`
	Journal       string  `help:"File that keeps balances and transactions over a restart; empty keeps them in memory." type:"path"`
	Rate          int     `help:"Calls a minute of each limited domain, as RevenueCat's 480; 0 is no limit." default:"0"`
	AutoCreate    bool    `help:"Answer for a customer that was never created as for one with no balance, instead of 404."`
	Controls      bool    `help:"Answer /control to other machines, too; for a network of your own, as in docker-compose.yml." name:"open-controls"`
	WebhookURL    string  `help:"Where webhooks of purchases go, such as http://127.0.0.1:8080/webhooks/revenuecat; empty sends none. They prove themselves as SLUICE_WEBHOOK_AUTHORIZATION and SLUICE_WEBHOOK_SIGNING_SECRETS say." name:"webhook-url"`
	WebhookFaster float64 `help:"By how much RevenueCat's waits between attempts, 5 to 80 minutes, are shortened." default:"300"`
}

// Help says how it is used.
func (simulateCommand) Help() string {
	return `Speaks the part of RevenueCat's API v2 that Sluice uses, with faults to switch on: GET /control
lists them. Point the other roles at it with SLUICE_REVENUECAT_URL=http://127.0.0.1:8081/v2 and
SLUICE_REVENUECAT_PROJECT_ID=proj_sim.`
}

// Run serves until a signal comes.
func (c simulateCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(ctx, config.RoleSimulate)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, io.Err)
	catalog, err := readCatalog(cfg.Catalog)
	if err != nil {
		return fmt.Errorf("catalogue:\n%w", err)
	}
	simulated := stock(simulator.Config{
		ProjectID: c.Project, SecretKey: cmp.Or(c.Key, cfg.RevenueCat.SecretKey.Reveal()), Log: log, RatePerMinute: c.Rate, AutoCreate: c.AutoCreate, JournalPath: c.Journal, OpenControls: c.Controls,
		Webhooks: webhooksTo(c.WebhookURL, cfg.Webhook),
	}, catalog)
	simulated.Webhooks.Faster = c.WebhookFaster
	sim, err := simulator.New(simulated)
	if err != nil {
		return err
	}
	defer func() { _ = sim.Close() }()
	return runRole(ctx, log, "simulate", func(ctx context.Context) error {
		return listen(ctx, endpoint{addr: c.Addr, setting: "--addr", handler: sim, log: log, ready: func(addr net.Addr) {
			_, _ = fmt.Fprintf(io.Out, "RevenueCat simulator: http://%s/v2 (project %s), controls: http://%s/control\n", addr, c.Project, addr)
		}})
	})
}
