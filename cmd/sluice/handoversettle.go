package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/outbox"
)

// errSettledMeanwhile says that a worker or another operator was faster.
var errSettledMeanwhile = errors.New("was settled meanwhile: look again")

// handoverSettleCommand stands in for an endpoint that cannot answer any more.
type handoverSettleCommand struct {
	ID      string `arg:"" help:"The spend's id."`
	Granted bool   `help:"The player has the item and keeps it: the spend is fulfilled, also one that an operator refunds. Either this or --revoked." xor:"word"`
	Revoked bool   `help:"The player does not have the item and never will: the cost is given back. Either this or --granted." xor:"word"`
	Reason  string `help:"How you know. Kept with the spend, and in the audit." required:""`
	by
}

// Help says what each word asserts.
func (handoverSettleCommand) Help() string {
	return `Say what became of an item that a game's server should hand over, by exactly one word.

--granted asserts that the player has the item and keeps it.

--revoked asserts that the player does not have it and never will. While the spend is
charged, workers may be asking the server for it, so the server is told to revoke the
item first. When it says that the player keeps the item, nothing is settled. When it
does not answer, your word stands alone, and the command says so: make sure that the
server is gone, or it may still grant what was given back.

--granted also ends the mark of a fulfilled spend whose item the game took back while
it was settled as granted: say it once the player has the item, or something else for
it. To give the cost back instead: sluice spend refund.`
}

// Run settles the spend. What is given back is credited by compensate.
func (c handoverSettleCommand) Run(ctx context.Context, io stdio) error {
	switch {
	case !c.Granted && !c.Revoked:
		return exitError{errors.New("say what became of the item: --granted or --revoked"), exitBadUsage}
	case strings.TrimSpace(c.Reason) == "":
		return exitError{errors.New("--reason: say how you know; it is kept with the spend"), exitBadUsage}
	}
	p, err := startSettling(ctx, io)
	if err != nil {
		return err
	}
	defer p.close()
	settled, unsure, err := c.settle(ctx, p)
	if err != nil {
		return err
	}
	if unsure != "" {
		_, _ = fmt.Fprintln(io.Err, "sluice:", unsure)
	}
	_, err = fmt.Fprintf(io.Out, "%s is %s %s\n", settled.ID, settled.State, settled.Reason)
	return err
}

// settle returns the spend as it is then, and what of it rests on the operator's word
// alone though a server might be asked; "": nothing.
func (c handoverSettleCommand) settle(ctx context.Context, p *process) (spend economy.Spend, unsure string, err error) {
	spend, err = p.books.Spend(ctx, c.ID)
	switch {
	case errors.Is(err, books.ErrNotFound):
		return spend, "", fmt.Errorf("no spend has the id %q", c.ID)
	case err != nil:
		return spend, "", err
	}
	if err := c.judge(ctx, p, spend); err != nil {
		return spend, "", err
	}
	if c.Granted {
		spend, err = c.commit(ctx, p, spend, grantedChange(spend))
		return spend, "", err
	}
	before := spend
	if spend.State == economy.Charged {
		if unsure, err = p.revokeOnce(ctx, spend); err != nil {
			return spend, "", err
		}
		// First the state that no worker grants in, then the word that the item is gone.
		if spend, _, err = c.step(ctx, p, spend, economy.HandOverRefusedFor(spend)); err != nil {
			return spend, "", err
		}
	}
	ours := false
	if spend.State == economy.Refunding && spend.RevokedAt.IsZero() {
		if spend, ours, err = c.step(ctx, p, spend, economy.TakenBack(spend, clock())); err != nil {
			return spend, "", err
		}
	}
	if !ours { // a worker heard of the revoke: it is certain, and still an operator's act
		states := func(s economy.Spend) map[string]any { return map[string]any{"state": s.State} }
		return spend, "", p.desk().Note(ctx, c.who(), c.Reason, operations.DeedSettleHandOver, spend.ID, states(before), states(spend))
	}
	return spend, unsure, wake(ctx, p, spend)
}

// step makes a step towards the refund. A worker that the server told of the revoke
// may have made it first: then it is not ours, and the spend is returned as the worker
// left it.
func (c handoverSettleCommand) step(ctx context.Context, p *process, spend economy.Spend, change economy.Change) (after economy.Spend, ours bool, err error) {
	after, err = c.commit(ctx, p, spend, change)
	if !errors.Is(err, errSettledMeanwhile) {
		return after, err == nil, err
	}
	switch after, readErr := p.books.Spend(ctx, spend.ID); {
	case readErr != nil:
		return after, false, readErr
	case after.State == economy.Refunding && (change.Spend.RevokedAt.IsZero() || !after.RevokedAt.IsZero()), after.State == economy.Refunded:
		return after, false, nil
	}
	return economy.Spend{}, false, err
}

// grantedChange is what follows from the word that the player has the item.
func grantedChange(spend economy.Spend) economy.Change {
	switch {
	case spend.State == economy.Fulfilled:
		return economy.ThereAfterAll(spend)
	case spend.State == economy.Charged:
		return economy.HandedOver(spend, nil, clock())
	case spend.Reason == economy.OperatorRefund:
		return economy.GiveUpRefund(spend, clock())
	default:
		return economy.Kept(spend, clock())
	}
}

// wake has compensate look at the spend within a second or two. A delivery that is
// over meanwhile needs no waking.
func wake(ctx context.Context, p *process, spend economy.Spend) error {
	_, err := p.committer.Commit(ctx, outbox.Effects{Guard: outbox.Park{
		Delivery: outbox.Delivery{EventID: events.EventID(events.SpendRefundingV1, spend.ID), Consumer: compensate.Spec.Name},
		Error:    "an operator settled its item",
	}})
	return err
}

// judge refuses what is not open, and what the item's endpoint has no say in.
func (c handoverSettleCommand) judge(ctx context.Context, p *process, spend economy.Spend) error {
	switch {
	case spend.State == economy.Fulfilled && spend.NeedsOperator != "" && !c.Granted:
		return fmt.Errorf("%s: give its cost back by sluice spend refund %s --reason TEXT", spend, spend.ID)
	case spend.State == economy.Fulfilled && spend.NeedsOperator != "":
		return nil
	case spend.Kind != economy.KindSpend || spend.State != economy.Charged && spend.State != economy.Refunding:
		return fmt.Errorf("%s: only a charged or refunding spend waits for its item to be settled", spend)
	case !spend.RevokedAt.IsZero():
		return fmt.Errorf("%s: its item was settled as revoked already, the cost is on its way back", spend)
	}
	_, err := p.endpointOf(ctx, spend)
	return err
}

// commit makes a step under the operator's words. The delivery that waited for the
// endpoint ends with it, unless it is the one that goes on.
func (c handoverSettleCommand) commit(ctx context.Context, p *process, before economy.Spend, change economy.Change) (economy.Spend, error) {
	now, after := clock(), change.Spend
	effects := outbox.Effects{
		Guard: books.SettleHandOver{Change: change, Note: "an operator: " + c.Reason}, Rows: books.With(change, now), Owner: after.AppUserID,
	}
	switch {
	case after.State == economy.Refunding && change.From == economy.Charged:
		effects.Events = []events.Event{events.NewSpendRefunding(after.ID, after.AppUserID, now)}
		effects.Done = []outbox.Delivery{{EventID: events.EventID(events.SpendChargedV1, after.ID), Consumer: fulfil.Spec.Name}}
	case after.State == economy.Fulfilled && change.From == economy.Charged:
		effects.Done = []outbox.Delivery{{EventID: events.EventID(events.SpendChargedV1, after.ID), Consumer: fulfil.Spec.Name}}
	case after.State == economy.Fulfilled:
		effects.Done = []outbox.Delivery{{EventID: events.EventID(events.SpendRefundingV1, after.ID), Consumer: compensate.Spec.Name}}
	default: // its delivery may have ended, for want of somebody to say this
		effects.Events = []events.Event{events.NewSpendRefunding(after.ID, after.AppUserID, now)}
	}
	if after.State.Final() {
		effects.Notices = []events.Notice{{Spend: after}}
	}
	committer := p.desk().Auditing(c.who(), c.Reason, operations.DeedSettleHandOver, before, func() economy.Spend { return after })
	switch result, err := committer.Commit(ctx, effects); {
	case err != nil:
		return economy.Spend{}, fmt.Errorf("settle %s: %w", after.ID, err)
	case result != outbox.Applied:
		return economy.Spend{}, fmt.Errorf("spend %s %w", after.ID, errSettledMeanwhile)
	}
	return after, nil
}
