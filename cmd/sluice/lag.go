package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/monitor"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// lagCommand shows how far behind each consumer is.
type lagCommand struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// lagPatience bounds the whole look.
const lagPatience = 10 * time.Second

// Run prints one line per consumer and lane.
func (c lagCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadOperatorConfig(config.RoleRelay)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	log := newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err)
	db, err := postgres.Open(ctx, postgres.Config{URL: cfg.Database.URL.Reveal()})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	conn, err := broker.Connect(ctx, broker.Config{URL: cfg.NATS.URL.Reveal(), Name: "sluice-lag", Log: log})
	if err != nil {
		return err
	}
	defer conn.Close()
	list, err := monitor.Collector{DB: db, Conn: conn}.Lag(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(io.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"consumers": list})
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "CONSUMER\tLANE\tMESSAGES\tOLDEST\tOWED\tPARKED\tREDELIVERED\t")
	for _, lag := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\t%d\t%s\n", lag.Consumer, lag.Lane, lag.Messages,
			time.Duration(lag.OldestAge).Round(time.Millisecond), lag.Owed, lag.Parked, lag.Redelivered, lag.Error)
	}
	return w.Flush()
}
