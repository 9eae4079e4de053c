package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
)

// spendSettleCommand settles by hand what nobody else can.
type spendSettleCommand struct {
	ID         string `arg:"" help:"The spend's id."`
	Charged    bool   `help:"The provider did apply it: the charge, or the refund of a refunding spend. Either this or --not-charged." xor:"word"`
	NotCharged bool   `help:"The provider did not apply it and never will. Either this or --charged." xor:"word"`
	Attempt    int64  `help:"The attempt that sluice spend show printed." placeholder:"N" required:""`
	Reason     string `help:"How you know, such as a row of the provider's ledger export. Kept with the adjustment, and in the audit." required:""`
	by
}

// Help says how the command is used.
func (spendSettleCommand) Help() string {
	return `Say what the provider did, by exactly one of --charged and --not-charged. Look at the
provider after sluice spend show: the attempt it printed says what you have seen. When
the provider was asked again since, nothing is settled, and you look again. What is
unknown is asked about at most every ten seconds for five minutes, then every 15 minutes.

  sluice spend show --unknown    lists what can be settled, with the commands to paste`
}

// toFill stands in the commands to paste where only a person knows what to say.
const toFill = "HOW YOU KNOW"

// settleCommand is the command that settles a spend by a word, to paste.
func settleCommand(spendID string, attempt int64, word string) string {
	return fmt.Sprintf("sluice spend settle %s --attempt %d --%s --reason '%s'", spendID, attempt, word, toFill)
}

// Run settles the adjustment, and every spend that the same call was to charge.
func (c spendSettleCommand) Run(ctx context.Context, io stdio) error {
	switch {
	case !c.Charged && !c.NotCharged:
		return exitError{errors.New("say what the provider did: --charged or --not-charged"), exitBadUsage}
	case strings.TrimSpace(c.Reason) == "", c.Reason == toFill:
		return exitError{errors.New("--reason: say how you know; it is kept with the adjustment"), exitBadUsage}
	}
	p, err := startSettling(ctx, io)
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
	settled, err := adjustments.Decide(ctx, adjustments.Store{DB: p.db}, p.desk().Auditing(c.who(), c.Reason, operations.DeedSettleSpend, spend, nil), spend,
		adjustments.Decision{Attempt: c.Attempt, Applied: c.Charged, Reason: c.Reason}, clock())
	if _, again := errors.AsType[*adjustments.TriedAgainError](err); again {
		return fmt.Errorf("%w: run sluice spend show %s", err, spend.ID)
	}
	if err != nil {
		return err
	}
	for _, s := range settled {
		_, _ = fmt.Fprintf(io.Out, "%s is %s\n", s.ID, standing(s))
	}
	return nil
}

// startSettling starts what a command needs that settles something by an operator's
// word. Its log is a step quieter: the answer is on the screen.
func startSettling(ctx context.Context, io stdio) (*process, error) {
	cfg, err := loadOperatorConfig(ctx, config.RoleRelay)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, "settle", cfg, newLog(config.Log{Level: cfg.Log.Level + 4, Format: cfg.Log.Format}, io.Err))
	if err != nil {
		return nil, databaseError(cfg, err)
	}
	return p, nil
}
