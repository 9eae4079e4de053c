package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/handover"
	"github.com/sluice-gems/sluice/outbox"
)

// handoverCommand groups what is about the game's own servers.
type handoverCommand struct {
	Verify handoverVerifyCommand `cmd:"" help:"Try on a game's server everything that docs/handover.md asks of it."`
	Show   handoverShowCommand   `cmd:"" help:"Show what waits for each endpoint."`
	Settle handoverSettleCommand `cmd:"" help:"Settle by an operator's word what became of a spend's item, when its endpoint cannot say."`
}

// handoverVerifyCommand is the conformance test of a game's server.
type handoverVerifyCommand struct {
	Target     string        `arg:"" name:"url" help:"Address of the server, or the name of an endpoint in the settings."`
	SecretFile string        `help:"File with the secret, whsec_...; without it the settings' secret of that endpoint." type:"path"`
	Item       string        `help:"An item that the server grants; it must not be worth anything." default:"sluice_test_item"`
	Timeout    time.Duration `help:"How long one request may take." default:"5s"`
	JSON       bool          `help:"Print JSON." name:"json"`
}

// Run prints one line per check. Exit codes: 0 all is well, 1 something is not, 2 bad usage.
func (c handoverVerifyCommand) Run(ctx context.Context, io stdio) error {
	address, secret, err := c.server(ctx)
	if err != nil {
		return exitError{err, exitBadUsage}
	}
	findings, err := handover.Verify(ctx, handover.Trial{
		URL: address, Secret: secret, Item: c.Item, Timeout: c.Timeout, NewID: outbox.NewID,
	})
	if err != nil {
		return exitError{err, exitBadUsage}
	}
	failed := 0
	for _, f := range findings {
		if !f.OK {
			failed++
		}
	}
	if c.JSON {
		err = printJSON(io, map[string]any{"url": config.NewURL(address), "ok": failed == 0, "checks": findings})
	} else {
		err = printFindings(io, findings)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d checks failed", failed, len(findings))
	}
	return err
}

// server finds out who is meant, and the secret.
func (c handoverVerifyCommand) server(ctx context.Context) (address, secret string, err error) {
	if c.Timeout <= 0 {
		return "", "", errors.New("--timeout must be more than 0")
	}
	if c.SecretFile != "" {
		raw, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return "", "", err
		}
		secret = strings.TrimSpace(string(raw))
		if strings.Contains(c.Target, "://") {
			return c.Target, secret, nil
		}
	}
	cfg, err := loadOperatorConfig(ctx, config.RoleSimulate)
	if err != nil {
		return "", "", err
	}
	for _, e := range cfg.HandOver.Endpoints() {
		if e.Name == c.Target || e.URL.Reveal() == strings.TrimRight(c.Target, "/") {
			return e.URL.Reveal(), cmp.Or(secret, e.Secrets[0].Reveal()), nil
		}
	}
	if strings.Contains(c.Target, "://") {
		return "", "", errors.New("the settings have no secret of that server: name a file that holds it with --secret-file")
	}
	return "", "", fmt.Errorf("%q is neither an address with https:// nor an endpoint of the settings", c.Target)
}

func printFindings(io stdio, findings []handover.Finding) error {
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		if f.OK {
			_, _ = fmt.Fprintf(w, "ok\t%s\n", f.Check)
			continue
		}
		_, _ = fmt.Fprintf(w, "FAIL\t%s\n\t  saw: %s\n\t  do:  %s\n", f.Check, f.Saw, f.Do)
	}
	return w.Flush()
}
