package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/broker"
)

// natsCommand runs only the embedded NATS server.
type natsCommand struct {
	Port int `help:"Port to listen on at 127.0.0.1; 0 takes a free one." default:"4222"`
}

// Help says what it is for.
func (natsCommand) Help() string {
	return `A NATS server with JetStream, its store in SLUICE_DATA_DIR/nats. It prints its address, for
SLUICE_NATS_URL of the other roles. It listens on this machine only and asks for no
password: for production run NATS itself.`
}

// Run serves until a signal comes, or JetStream gives up.
func (c natsCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(ctx, config.RoleNATS)
	if err != nil {
		return err
	}
	log := newLog(cfg.Log, io.Err)
	if err := requireFree(ctx, fmt.Sprintf("127.0.0.1:%d", c.Port), "--port"); err != nil {
		return err
	}
	return runRole(ctx, log, "nats", func(ctx context.Context) error {
		server, err := broker.StartEmbedded(broker.EmbeddedConfig{
			StoreDir: filepath.Join(cfg.DataDir, "nats"), Port: c.Port, Log: log,
		})
		if err != nil {
			return err
		}
		defer server.Stop()
		if _, err := fmt.Fprintln(io.Out, server.URL()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			log.InfoContext(ctx, "stopping: what is in memory is written to the store")
			return nil
		case <-server.Done():
			return server.Why()
		}
	})
}
