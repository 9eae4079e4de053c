package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
)

// spendSettleCommand settles by hand what nobody else can.
type spendSettleCommand struct {
	ID         string `arg:"" help:"The spend's id."`
	Charged    bool   `help:"The provider did apply it: the charge, or the refund of a refunding spend." xor:"word" required:""`
	NotCharged bool   `help:"The provider did not apply it and never will." xor:"word" required:""`
	Reason     string `help:"How you know, such as a row of the provider's ledger export. Kept with the adjustment." required:""`
}

// Run settles the adjustment, and every spend that the same call was to charge.
func (c spendSettleCommand) Run(ctx context.Context, io stdio) error {
	cfg, err := loadOperatorConfig(config.RoleRelay)
	if err != nil {
		return err
	}
	p, err := startProcess(ctx, "settle", cfg, newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err))
	if err != nil {
		return err
	}
	defer p.close()
	spend, err := p.books.Spend(ctx, c.ID)
	if errors.Is(err, books.ErrNotFound) {
		return fmt.Errorf("no spend has the id %q", c.ID)
	}
	if err != nil {
		return err
	}
	settled, err := adjustments.Decide(ctx, adjustments.Store{DB: p.db}, p.committer, spend,
		adjustments.Decision{Applied: c.Charged, Reason: c.Reason}, clock())
	if err != nil {
		return err
	}
	for _, s := range settled {
		_, _ = fmt.Fprintf(io.Out, "%s is %s %s\n", s.ID, s.State, s.Reason)
	}
	return nil
}
