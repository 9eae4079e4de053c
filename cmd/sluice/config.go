package main

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/config"
)

// configCommand lists every setting.
type configCommand struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help says how settings are given.
func (configCommand) Help() string {
	return `A setting is an environment variable, or a key of the YAML file that SLUICE_CONFIG names; the
environment wins. A secret may be in a file of its own: NAME_FILE instead of NAME. What is
unknown or wrong is refused at the start, all at once. What is set is never printed.`
}

// Run prints the table of settings: what can be set, never what is set.
func (c configCommand) Run(_ context.Context, io stdio) error {
	if c.JSON {
		return printJSON(io, map[string]any{"settings": config.Variables()})
	}
	if err := config.WriteHelp(io.Out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(io.Out, "\nTraces are set up by OpenTelemetry's own variables and are off without OTEL_EXPORTER_OTLP_ENDPOINT, such as http://localhost:4318.")
	return err
}
