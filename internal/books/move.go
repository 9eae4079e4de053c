package books

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Move is the guard of one step of the saga: the spend is still in the state
// the step leaves. A step that was made before, or overtaken, is stale.
type Move struct{ economy.Change }

var moveColumns = []outbox.Column{
	{Name: "id", Type: "uuid"}, {Name: "from_state", Type: "text"}, {Name: "state", Type: "text"}, {Name: "reason", Type: "text"},
	{Name: "needs_operator", Type: "text"}, {Name: "charged_at", Type: "timestamptz"}, {Name: "finished_at", Type: "timestamptz"},
	{Name: "change_id", Type: "uuid"},
}

// setMoved writes the spend as it is after the step. A move that the table of
// transitions forbids breaks the CHECK and fails the whole step.
const setMoved = `UPDATE spends s SET state = r.state,
	left_state = CASE WHEN s.state = r.state THEN s.left_state ELSE s.state END,
	reason = r.reason, needs_operator = r.needs_operator, unknown_since = NULL,
	charged_at = r.charged_at, finished_at = r.finished_at, change_id = r.change_id`

var moveKind = &outbox.Kind{
	Name:    "spend_move",
	Columns: moveColumns,
	Steps: []outbox.Step{
		// In key order, so that two commits cannot wait for each other.
		{Name: "update", SQL: setMoved + ` FROM (SELECT * FROM {rows} ORDER BY id) r
			WHERE s.id = r.id AND s.state = r.from_state RETURNING r.effect`},
	},
	Judge: `SELECT r.effect, 'applied' FROM {rows} r JOIN spends s ON s.id = r.id WHERE s.change_id = r.change_id`,
}

// Kind implements outbox.Row.
func (m Move) Kind() *outbox.Kind { return moveKind }

// AppendTo implements outbox.Row.
func (m Move) AppendTo(c *outbox.Columns, effect string) {
	c.Text(m.Spend.ID)
	c.Text(string(m.From))
	c.Text(string(m.Spend.State))
	c.Text(string(m.Spend.Reason))
	c.Text(m.Spend.NeedsOperator)
	c.Time(m.Spend.ChargedAt)
	c.Time(m.Spend.FinishedAt)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (m Move) GuardKey() string { return SpendKey(m.Spend.ID) }

// SpendKey is what every step that changes a spend touches.
func SpendKey(spendID string) string { return "spend:" + spendID }

// followRow is a step of the saga that follows from another guard, such as the
// settlement of the adjustment the spend is bound to. Nobody else may move a
// bound spend, so it has no condition of its own but the database's CHECK.
type followRow struct{ Move }

var followKind = &outbox.Kind{
	Name:    "spend_follow",
	Columns: moveColumns,
	Steps:   []outbox.Step{{Name: "update", SQL: setMoved + ` FROM {rows} r WHERE s.id = r.id`}},
}

func (f followRow) Kind() *outbox.Kind { return followKind }

// Follow returns the rows of a step that follows from another guard: the move
// itself and all that goes with it. The Effects must touch SpendKey.
func Follow(change economy.Change, at time.Time) []outbox.Row {
	return append([]outbox.Row{followRow{Move{change}}}, With(change, at)...)
}

// With returns what a step writes beside the move: ledger lines, the grant, the
// release of a limit.
func With(change economy.Change, at time.Time) []outbox.Row {
	rows := make([]outbox.Row, 0, len(change.Entries)+2)
	for _, entry := range change.Entries {
		rows = append(rows, entryRow{entry, at})
	}
	if change.Grant != nil {
		rows = append(rows, grantRow{*change.Grant, at})
	}
	if change.Release {
		rows = append(rows, releaseRow{change.Spend})
	}
	return rows
}
