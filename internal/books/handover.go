package books

import (
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// SettleHandOver is the guard of what was found out about an item that another
// server hands over: the spend is still in the state the step leaves, and nobody has
// settled before that its item was taken back. Otherwise it is stale.
type SettleHandOver struct {
	economy.Change
	Note string // an operator's words; empty: the server itself said it
}

var settleHandOverKind = &outbox.Kind{
	Name:    "spend_settle_hand_over",
	Columns: append(moveColumns[:len(moveColumns):len(moveColumns)], outbox.Column{Name: "revoked_at", Type: "timestamptz"}, outbox.Column{Name: "note", Type: "text"}),
	Steps: []outbox.Step{
		{Name: "lock", SQL: `SELECT s.id FROM spends s JOIN {rows} r ON r.id = s.id ORDER BY s.id FOR UPDATE OF s`},
		{Name: "update", SQL: setMoved + `, held = s.held AND r.state <> 'fulfilled', revoked_at = r.revoked_at, note = CASE WHEN r.note = '' THEN s.note ELSE r.note END FROM {rows} r
			WHERE s.id = r.id AND (r.id IN (SELECT id FROM {lock})) IS TRUE AND s.state = r.from_state AND s.revoked_at IS NULL RETURNING r.effect`},
	},
	Judge: moveKind.Judge,
}

// Kind implements outbox.Row.
func (s SettleHandOver) Kind() *outbox.Kind { return settleHandOverKind }

// AppendTo implements outbox.Row.
func (s SettleHandOver) AppendTo(c *outbox.Columns, effect string) {
	Move{s.Change}.AppendTo(c, effect)
	c.Time(s.Spend.RevokedAt)
	c.Text(s.Note)
}

// GuardKey implements outbox.GuardRow.
func (s SettleHandOver) GuardKey() string { return SpendKey(s.Spend.ID) }
