package main

import (
	"context"

	"github.com/sluice-gems/sluice/config"
)

// configCommand lists every setting.
type configCommand struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Run prints the table of settings: what can be set, never what is set.
func (c configCommand) Run(_ context.Context, io stdio) error {
	if c.JSON {
		return printJSON(io, map[string]any{"settings": config.Variables()})
	}
	return config.WriteHelp(io.Out)
}
