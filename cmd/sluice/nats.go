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

// Run serves until a signal comes.
func (c natsCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadConfig(config.RoleNATS)
	if err != nil {
		return err
	}
	server, err := broker.StartEmbedded(broker.EmbeddedConfig{
		StoreDir: filepath.Join(cfg.DataDir, "nats"), Port: c.Port, Log: newLog(cfg.Log, io.Err),
	})
	if err != nil {
		return err
	}
	defer server.Stop()
	if _, err := fmt.Fprintln(io.Out, server.URL()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
