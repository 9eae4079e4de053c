package operations

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// reclaiming is the guard that takes a fulfilled spend back: it is fulfilled still
// and, where a request asks for it, that waits still and was made by another person.
// Otherwise it is stale.
type reclaiming struct {
	change    economy.Change
	requestID string // empty: no second person is needed
	who       Who
	why       string
	at        time.Time
}

var reclaimingKind = &outbox.Kind{
	Name: "operator_refund",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "reason", Type: "text"}, {Name: "revoked_at", Type: "timestamptz"}, {Name: "request_id", Type: "uuid"},
		{Name: "who", Type: "text"}, {Name: "login", Type: "text"}, {Name: "why", Type: "text"}, {Name: "at", Type: "timestamptz"},
		{Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "request", SQL: `SELECT q.id FROM refund_requests q JOIN {rows} r ON q.id = r.request_id
			WHERE q.state = 'asked' AND q.asked_by <> r.who AND q.asked_login <> r.login ORDER BY q.id FOR UPDATE OF q`},
		{Name: "lock", SQL: lockSpends},
		{Name: "update", SQL: `UPDATE spends s SET state = 'refunding', left_state = s.state, reason = r.reason, revoked_at = r.revoked_at,
				finished_at = NULL, needs_operator = '', unknown_since = NULL, change_id = r.change_id
			FROM {rows} r WHERE s.id = r.id AND ` + spendIsLocked + ` AND s.state = 'fulfilled' AND s.kind = 'spend'
				AND (r.request_id IS NULL OR (r.request_id IN (SELECT id FROM {request})) IS TRUE) RETURNING r.effect, r.request_id, r.who, r.login, r.why, r.at, r.change_id`},
		{Name: "decide", SQL: `UPDATE refund_requests q SET state = 'approved', decided_at = u.at, decided_by = u.who, decided_login = u.login,
				decided_why = u.why, change_id = u.change_id
			FROM {update} u WHERE q.id = u.request_id`},
		{Name: "effects", SQL: `SELECT effect FROM {update}`},
	},
	Judge: judgeSpends,
}

// Kind implements outbox.Row.
func (r reclaiming) Kind() *outbox.Kind { return reclaimingKind }

// AppendTo implements outbox.Row.
func (r reclaiming) AppendTo(c *outbox.Columns, effect string) {
	c.Text(r.change.Spend.ID)
	c.Text(string(r.change.Spend.Reason))
	c.Time(r.change.Spend.RevokedAt)
	c.TextOrNull(r.requestID)
	c.Text(r.who.Name)
	c.Text(r.who.login())
	c.Text(r.why)
	c.Time(r.at)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (r reclaiming) GuardKey() string { return books.SpendKey(r.change.Spend.ID) }

// takenRow takes a spend's item out of our own inventory.
type takenRow struct {
	spendID string
	at      time.Time
}

var takenKind = &outbox.Kind{
	Name:    "inventory_taken",
	Columns: []outbox.Column{{Name: "spend_id", Type: "uuid"}, {Name: "revoked_at", Type: "timestamptz"}},
	Steps: []outbox.Step{{Name: "update", SQL: `UPDATE inventory_grants g SET revoked_at = r.revoked_at FROM {rows} r
		WHERE g.spend_id = r.spend_id AND g.revoked_at IS NULL`}},
}

// Kind implements outbox.Row.
func (t takenRow) Kind() *outbox.Kind { return takenKind }

// AppendTo implements outbox.Row.
func (t takenRow) AppendTo(c *outbox.Columns, _ string) {
	c.Text(t.spendID)
	c.Time(t.at)
}

// asking is the guard that asks for a second person. A spend that waits for one already
// is a duplicate.
type asking struct {
	RefundRequest
}

var askingKind = &outbox.Kind{
	Name: "refund_asked",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "spend_id", Type: "uuid"}, {Name: "asked_at", Type: "timestamptz"}, {Name: "asked_by", Type: "text"},
		{Name: "asked_login", Type: "text"}, {Name: "reason", Type: "text"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "insert", SQL: `INSERT INTO refund_requests (id, spend_id, asked_at, asked_by, asked_login, reason, change_id)
			SELECT r.id, r.spend_id, r.asked_at, r.asked_by, r.asked_login, r.reason, r.change_id FROM {rows} r
			ON CONFLICT DO NOTHING RETURNING id`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.id IN (SELECT id FROM {insert})) IS TRUE`},
	},
	Judge: `SELECT r.effect, CASE WHEN q.id = r.id THEN 'applied' ELSE 'duplicate' END FROM {rows} r
		JOIN refund_requests q ON q.spend_id = r.spend_id AND q.state = 'asked'`,
}

// Kind implements outbox.Row.
func (a asking) Kind() *outbox.Kind { return askingKind }

// AppendTo implements outbox.Row.
func (a asking) AppendTo(c *outbox.Columns, effect string) {
	c.Text(a.ID)
	c.Text(a.SpendID)
	c.Time(a.AskedAt)
	c.Text(a.AskedBy)
	c.Text(a.AskedLogin)
	c.Text(a.Reason)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (a asking) GuardKey() string { return requestKey(a.SpendID) }

func requestKey(spendID string) string { return "refund request of " + spendID }

// refusing is the guard that ends a request without a refund. One that was decided
// before is stale.
type refusing struct {
	requestID, spendID string
	who                Who
	why                string
	at                 time.Time
}

var refusingKind = &outbox.Kind{
	Name: "refund_refused",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "who", Type: "text"}, {Name: "login", Type: "text"}, {Name: "why", Type: "text"},
		{Name: "at", Type: "timestamptz"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "update", SQL: `UPDATE refund_requests q SET state = 'refused', decided_at = r.at, decided_by = r.who, decided_login = r.login,
				decided_why = r.why, change_id = r.change_id
			FROM {rows} r WHERE q.id = r.id AND q.state = 'asked' RETURNING r.effect`},
	},
	Judge: `SELECT r.effect, 'applied' FROM {rows} r JOIN refund_requests q ON q.id = r.id WHERE q.change_id = r.change_id`,
}

// Kind implements outbox.Row.
func (r refusing) Kind() *outbox.Kind { return refusingKind }

// AppendTo implements outbox.Row.
func (r refusing) AppendTo(c *outbox.Columns, effect string) {
	c.Text(r.requestID)
	c.Text(r.who.Name)
	c.Text(r.who.login())
	c.Text(r.why)
	c.Time(r.at)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (r refusing) GuardKey() string { return requestKey(r.spendID) }
