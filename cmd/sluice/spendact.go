package main

import (
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/operations"
)

// spendAct is an act on one spend.
type spendAct struct {
	ID string `arg:"" help:"The spend's id."`
	act
}

// do does it, and says how the spend stands.
func (c spendAct) do(ctx context.Context, io stdio, do func(*operations.Desk) (economy.Spend, error)) error {
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		s, err := do(desk)
		if err != nil {
			return err
		}
		return printStands(io, s)
	})
}

func printStands(io stdio, s economy.Spend) error {
	held := ""
	if s.Held {
		held = ", held"
	}
	_, err := fmt.Fprintf(io.Out, "%s is %s%s\n", s.ID, standing(s), held)
	return err
}

// spendCancelCommand cancels.
type spendCancelCommand struct{ spendAct }

// Help says what can be cancelled.
func (spendCancelCommand) Help() string {
	return `Only what waits for its charge can be cancelled: once a call to the provider may have taken
the cost, it ends as the provider says, and a fulfilled spend can be refunded. While a call
for the same player is under way whose refusal might decline the spend as well, it stays
held; the same command a few seconds later cancels it.`
}

// Run cancels.
func (c spendCancelCommand) Run(ctx context.Context, io stdio) error {
	return c.do(ctx, io, func(desk *operations.Desk) (economy.Spend, error) { return desk.Cancel(ctx, c.who(), c.Reason, c.ID) })
}

// spendHoldCommand holds.
type spendHoldCommand struct{ spendAct }

// Help says what a hold does.
func (spendHoldCommand) Help() string {
	return `No call to the provider is begun for a held spend, neither to charge it nor to give its cost
back; one under way is still settled. The player's other spends pass it. A charged spend is
handed over all the same: pause its item's consumer, or refund it.`
}

// Run holds.
func (c spendHoldCommand) Run(ctx context.Context, io stdio) error {
	return c.do(ctx, io, func(desk *operations.Desk) (economy.Spend, error) { return desk.Hold(ctx, c.who(), c.Reason, c.ID) })
}

// spendReleaseCommand releases.
type spendReleaseCommand struct{ spendAct }

// Run releases.
func (c spendReleaseCommand) Run(ctx context.Context, io stdio) error {
	return c.do(ctx, io, func(desk *operations.Desk) (economy.Spend, error) { return desk.Release(ctx, c.who(), c.Reason, c.ID) })
}

// spendRefundCommand refunds.
type spendRefundCommand struct {
	spendAct
	Again  bool `help:"Try a refund again that needs an operator." xor:"what"`
	GiveUp bool `help:"Let a refund be that an operator began, while its item is the player's." xor:"what"`
}

// Help says what a refund does, and when it needs two people.
func (spendRefundCommand) Help() string {
	return `The item is taken out of our own inventory in the same commit, or revoked at the game's
server, before the cost is given back. A cost above SLUICE_REFUND_ALONE makes a request
instead, which somebody else approves: sluice spend requests lists them. Somebody else has
another name and another login.

--again is for a refund that the provider refused for good (it gets another key), or whose
item the game did not take back. An item that the game never takes back is settled by
sluice handover settle ID --revoked: the player keeps it, and gets the cost.

--give-up ends a refund as if nobody had asked for it: the item stays, the cost stays
spent. It is refused once the item is gone, which one of our own inventory is at once, and
once the game's server was asked to take it back, unless that answered that the player
keeps it. One person may do it; the spend cannot be refunded a second time.`
}

// Run refunds, or asks for a second person.
func (c spendRefundCommand) Run(ctx context.Context, io stdio) error {
	if c.GiveUp {
		return c.do(ctx, io, func(desk *operations.Desk) (economy.Spend, error) {
			return desk.GiveUpRefund(ctx, c.who(), c.Reason, c.ID)
		})
	}
	if c.Again {
		return c.do(ctx, io, func(desk *operations.Desk) (economy.Spend, error) {
			return desk.RefundAgain(ctx, c.who(), c.Reason, c.ID)
		})
	}
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		made, err := desk.Refund(ctx, c.who(), c.Reason, c.ID)
		if err != nil {
			return err
		}
		if made.Request == nil {
			return printStands(io, made.Spend)
		}
		_, err = fmt.Fprintf(io.Out, "%s costs %s, which needs a second person. Somebody else runs\n  sluice spend approve %s --reason WHY\n",
			made.Spend.ID, made.Spend.Cost, made.Request.ID)
		return err
	})
}

// spendRequestsCommand lists requests.
type spendRequestsCommand struct {
	All  bool `help:"Those that were decided, too."`
	JSON bool `help:"Print JSON." name:"json"`
}

// Run prints the table.
func (c spendRequestsCommand) Run(ctx context.Context, io stdio) error {
	return lookAtDesk(ctx, func(desk *operations.Desk) error {
		list, err := desk.RefundRequests(ctx, !c.All)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(io, map[string]any{"refund_requests": list})
		}
		w := table(io, "REQUEST\tSPEND\tCOST\tASKED\tBY\tREASON\tSTATE\tDECIDED BY")
		for _, r := range list {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.SpendID, r.Cost, stamp(r.AskedAt), r.AskedBy, short(r.Reason), r.State, r.DecidedBy)
		}
		return w.Flush()
	})
}

// requestAct is an act on one request.
type requestAct struct {
	Request string `arg:"" help:"The request's id."`
	act
}

// spendApproveCommand approves.
type spendApproveCommand struct{ requestAct }

// Run approves, which makes the refund.
func (c spendApproveCommand) Run(ctx context.Context, io stdio) error {
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		s, err := desk.ApproveRefund(ctx, c.who(), c.Reason, c.Request)
		if err != nil {
			return err
		}
		return printStands(io, s)
	})
}

// spendRefuseCommand refuses.
type spendRefuseCommand struct{ requestAct }

// Run refuses.
func (c spendRefuseCommand) Run(ctx context.Context, io stdio) error {
	return atDesk(ctx, io, func(_ *process, desk *operations.Desk) error {
		if err := desk.RefuseRefund(ctx, c.who(), c.Reason, c.Request); err != nil {
			return err
		}
		_, err := fmt.Fprintf(io.Out, "%s is refused\n", c.Request)
		return err
	})
}
