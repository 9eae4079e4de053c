package operations

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

const (
	// lockSpends takes the rows in key order, so that two commits cannot wait for each other.
	lockSpends = `SELECT s.id FROM spends s JOIN {rows} r ON r.id = s.id ORDER BY s.id FOR UPDATE OF s`
	// spendIsLocked makes a step wait for the locks.
	spendIsLocked = `(r.id IN (SELECT id FROM {lock})) IS TRUE`
	// judgeSpends knows a commit whose answer was lost by the id it left.
	judgeSpends = `SELECT r.effect, 'applied' FROM {rows} r JOIN spends s ON s.id = r.id WHERE s.change_id = r.change_id`
)

// spendTouches is what every act on a spend touches: whatever binds, settles or moves
// the player's spends, counts the item or decides on a refund, is never in one statement with it.
func spendTouches(s economy.Spend) []string {
	return []string{books.PlayerKey(s.AppUserID), books.LimitKey(s.AppUserID, s.Item), requestKey(s.ID)}
}

// holding is the guard that begins or ends the hold of a spend. It is stale when the
// spend is held already, or is not, or when nobody is called for what is to be held.
type holding struct {
	spendID string
	held    bool
}

var holdingKind = &outbox.Kind{
	Name:    "operator_hold",
	Columns: []outbox.Column{{Name: "id", Type: "uuid"}, {Name: "held", Type: "boolean"}, {Name: "change_id", Type: "uuid"}},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockSpends},
		{Name: "update", SQL: `UPDATE spends s SET held = r.held, change_id = r.change_id FROM {rows} r
			WHERE s.id = r.id AND ` + spendIsLocked + ` AND s.held <> r.held
				AND (NOT r.held OR s.state IN ('requested', 'refunding')) RETURNING r.effect`},
	},
	Judge: judgeSpends,
}

// Kind implements outbox.Row.
func (h holding) Kind() *outbox.Kind { return holdingKind }

// AppendTo implements outbox.Row.
func (h holding) AppendTo(c *outbox.Columns, effect string) {
	c.Text(h.spendID)
	c.Bool(h.held)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (h holding) GuardKey() string { return books.SpendKey(h.spendID) }

// cancelling is the guard that declines a held spend which nothing may charge: it is
// bound to no adjustment, and its player has no call under way whose refusal would
// decline it as well. Since it is held, and was before this statement began, no call can
// begin that would do either: Bind has locked it and found it held.
//
// Of such a call only the first attempt declines others than those it is for, and only
// until its outcome is on record; another attempt, and another process, knows of none.
type cancelling struct {
	spendID    string
	reason     economy.Reason
	finishedAt time.Time
}

var cancellingKind = &outbox.Kind{
	Name: "operator_cancel",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "reason", Type: "text"}, {Name: "finished_at", Type: "timestamptz"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockSpends},
		{Name: "update", SQL: `UPDATE spends s SET state = 'declined', left_state = s.state, reason = r.reason, held = false, unknown_since = NULL,
				needs_operator = '', finished_at = r.finished_at, change_id = r.change_id
			FROM {rows} r WHERE s.id = r.id AND ` + spendIsLocked + ` AND s.state = 'requested' AND s.held AND s.adjustment_id IS NULL
				AND NOT EXISTS (SELECT FROM adjustments a
					WHERE a.app_user_id = s.app_user_id AND a.state = 'open' AND a.attempts = 1 AND a.leased_by <> '')
			RETURNING r.effect`},
	},
	Judge: judgeSpends,
}

// Kind implements outbox.Row.
func (k cancelling) Kind() *outbox.Kind { return cancellingKind }

// AppendTo implements outbox.Row.
func (k cancelling) AppendTo(c *outbox.Columns, effect string) {
	c.Text(k.spendID)
	c.Text(string(k.reason))
	c.Time(k.finishedAt)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (k cancelling) GuardKey() string { return books.SpendKey(k.spendID) }

// again is the guard that has a refund tried again which waits for an operator.
type again struct{ spendID string }

var againKind = &outbox.Kind{
	Name:    "operator_refund_again",
	Columns: []outbox.Column{{Name: "id", Type: "uuid"}, {Name: "change_id", Type: "uuid"}},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockSpends},
		{Name: "update", SQL: `UPDATE spends s SET needs_operator = '', change_id = r.change_id FROM {rows} r
			WHERE s.id = r.id AND ` + spendIsLocked + ` AND s.state = 'refunding' AND s.needs_operator <> '' RETURNING r.effect`},
	},
	Judge: judgeSpends,
}

// Kind implements outbox.Row.
func (a again) Kind() *outbox.Kind { return againKind }

// AppendTo implements outbox.Row.
func (a again) AppendTo(c *outbox.Columns, effect string) {
	c.Text(a.spendID)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (a again) GuardKey() string { return books.SpendKey(a.spendID) }

// wakeRow makes a parked delivery due now, beside a guard.
type wakeRow outbox.Delivery

var wakeKind = &outbox.Kind{
	Name:    "operator_wake",
	Columns: letterKey,
	Steps: []outbox.Step{{Name: "update", SQL: `UPDATE outbox o SET due_at = now() FROM {rows} r
		WHERE ` + outbox.ByKey + ` AND o.published_at IS NULL`}},
}

// Kind implements outbox.Row.
func (w wakeRow) Kind() *outbox.Kind { return wakeKind }

// AppendTo implements outbox.Row.
func (w wakeRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(w.EventID)
	c.Text(w.Consumer)
}

// waiting is the delivery that a requested or refunding spend waits for.
func waiting(s economy.Spend) outbox.Delivery {
	if s.State == economy.Refunding {
		return outbox.Delivery{EventID: events.EventID(events.SpendRefundingV1, s.ID), Consumer: adjustments.RefundConsumer}
	}
	return outbox.Delivery{EventID: events.EventID(events.SpendRequestedV1, s.ID), Consumer: adjustments.ChargeConsumer}
}
