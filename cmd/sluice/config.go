package main

import (
	"context"

	"github.com/sluice-gems/sluice/config"
)

// configCommand lists every setting.
type configCommand struct{}

// Run prints the table of settings.
func (configCommand) Run(_ context.Context, io stdio) error { return config.WriteHelp(io.Out) }
