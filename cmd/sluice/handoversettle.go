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

// handoverSettleCommand stands in for an endpoint that cannot answer any more.
type handoverSettleCommand struct {
	ID      string `arg:"" help:"The spend's id."`
	Granted bool   `help:"The player has the item and keeps it: the spend is fulfilled. Either this or --revoked." xor:"word"`
	Revoked bool   `help:"The player does not have the item and never will: the cost is given back. Either this or --granted." xor:"word"`
	Reason  string `help:"How you know. Kept with the spend, and in the audit." required:""`
	by
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
	settled, err := c.settle(ctx, p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s is %s %s\n", settled.ID, settled.State, settled.Reason)
	return err
}

func (c handoverSettleCommand) settle(ctx context.Context, p *process) (economy.Spend, error) {
	spend, err := p.books.Spend(ctx, c.ID)
	switch {
	case errors.Is(err, books.ErrNotFound):
		return economy.Spend{}, fmt.Errorf("no spend has the id %q", c.ID)
	case err != nil:
		return economy.Spend{}, err
	}
	if err := c.judge(ctx, p, spend); err != nil {
		return economy.Spend{}, err
	}
	switch {
	case c.Granted && spend.State == economy.Charged:
		return c.commit(ctx, p, spend, economy.HandedOver(spend, nil, clock()))
	case c.Granted:
		return c.commit(ctx, p, spend, economy.Kept(spend, clock()))
	case spend.State == economy.Charged:
		// First the state that no worker grants in, then the word that the item is gone.
		if spend, err = c.commit(ctx, p, spend, economy.HandOverRefusedFor(spend)); err != nil {
			return economy.Spend{}, err
		}
	}
	if spend, err = c.commit(ctx, p, spend, economy.TakenBack(spend, clock())); err != nil {
		return economy.Spend{}, err
	}
	return spend, wake(ctx, p, spend)
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
	if spend.Kind != economy.KindSpend || spend.State != economy.Charged && spend.State != economy.Refunding {
		return fmt.Errorf("%s: only a charged or refunding spend waits for its item to be settled", spend)
	}
	if !spend.RevokedAt.IsZero() {
		return fmt.Errorf("%s: its item was settled as revoked already, the cost is on its way back", spend)
	}
	if c.Granted && spend.Reason == economy.OperatorRefund {
		return fmt.Errorf("%s: an operator asked for its cost back, so its item cannot be settled as kept: have the game asked again with sluice spend refund --again, or settle it as --revoked", spend)
	}
	catalog, err := p.catalogs.Catalog(ctx, spend.CatalogVersion)
	if err != nil {
		return err
	}
	if port := catalog.Items[spend.Item].HandOver.Port; port != economy.HandOverHTTP {
		return fmt.Errorf("%s: its item is handed over by port %s, which needs nobody's word", spend, port)
	}
	return nil
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
		return economy.Spend{}, fmt.Errorf("spend %s was settled meanwhile: look again", after.ID)
	}
	return after, nil
}
