package operations

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// GiveUpRefund lets a refund be that an operator began: the item stays with the player,
// the cost stays spent, and the spend is fulfilled as before. That is safe as long as
// the game's server was never asked to take the item back, or has answered that the
// player keeps it; otherwise it is refused. It needs one person. The spend cannot be
// refunded a second time.
//
// Errors: ErrNotFound; *RefusedError, which says what to do instead.
func (d *Desk) GiveUpRefund(ctx context.Context, who Who, reason, spendID string) (economy.Spend, error) {
	s, err := d.toldOfSpend(ctx, who, reason, spendID)
	if err == nil {
		err = givable(s)
	}
	if err != nil {
		return s, err
	}
	change := economy.GiveUpRefund(s, d.Now())
	after := change.Spend
	err = d.commitSpend(ctx, outbox.Effects{
		Guard: givingUp{after.ID, after.FinishedAt}, Rows: books.With(change, after.FinishedAt),
		Done: []outbox.Delivery{waiting(s)}, Notices: []events.Notice{{Spend: after}},
	}, d.act(who, reason, DeedGiveUpRefund, s.ID, s.AppUserID, spendSide(s), spendSide(after)), s)
	if err == nil || refusal(err) != nil {
		return after, err
	}
	if s, err = d.spend(ctx, spendID); err != nil {
		return economy.Spend{}, err
	}
	if err := givable(s); err != nil {
		return s, err
	}
	return s, refused("%s: the game's server was asked to take the item back, and may have done so. Wait for its answer; "+
		"if the game says that the player has it and keeps it: sluice handover settle %s --granted --reason TEXT", s, s.ID)
}

// givable refuses what is no refund of an operator's, or has gone too far.
func givable(s economy.Spend) error {
	switch {
	case s.State != economy.Refunding:
		return refused("%s: only a refund that is under way can be given up", s)
	case s.Reason != economy.OperatorRefund:
		return refused("%s: no operator asked for this refund. Its item was never handed over, so its cost is owed to the player", s)
	case !s.RevokedAt.IsZero():
		return refused("%s: its item was taken back, so its cost is owed to the player", s)
	}
	return nil
}

// once refuses a second refund of a spend: its ledger has each kind of line once.
func (d *Desk) once(ctx context.Context, s economy.Spend) error {
	switch given, err := d.Spends.RefundGivenUp(ctx, s.ID); {
	case err != nil:
		return fmt.Errorf("%s: %w", s, err)
	case given:
		return refused("%s: a refund of it was given up before, and a spend is taken back once. Give its cost by a grant (POST /grants)", s)
	}
	return nil
}

// givingUp is the guard that ends a refund of an operator's with the item where it is.
// It is stale once the game's server was asked for the item, unless that has answered
// that the player keeps it: what decides stands in the row that is locked.
type givingUp struct {
	spendID    string
	finishedAt time.Time
}

var givingUpKind = &outbox.Kind{
	Name:    "operator_give_up",
	Columns: []outbox.Column{{Name: "id", Type: "uuid"}, {Name: "finished_at", Type: "timestamptz"}, {Name: "kept", Type: "text"}, {Name: "change_id", Type: "uuid"}},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockSpends},
		{Name: "update", SQL: `UPDATE spends s SET state = 'fulfilled', left_state = s.state, reason = '', needs_operator = '', unknown_since = NULL, held = false,
				finished_at = r.finished_at, change_id = r.change_id
			FROM {rows} r WHERE s.id = r.id AND ` + spendIsLocked + ` AND s.state = 'refunding' AND s.reason = 'operator_refund' AND s.revoked_at IS NULL
				AND (s.revoke_asked_at IS NULL OR s.needs_operator = r.kept) RETURNING r.effect`},
	},
	Judge: judgeSpends,
}

// Kind implements outbox.Row.
func (g givingUp) Kind() *outbox.Kind { return givingUpKind }

// AppendTo implements outbox.Row.
func (g givingUp) AppendTo(c *outbox.Columns, effect string) {
	c.Text(g.spendID)
	c.Time(g.finishedAt)
	c.Text(economy.KeptByGame)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (g givingUp) GuardKey() string { return books.SpendKey(g.spendID) }
