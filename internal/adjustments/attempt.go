package adjustments

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Lease is the guard that adopts an open adjustment for one more attempt: nobody
// else holds a lease on it. Otherwise it is stale.
type Lease struct {
	AdjustmentID string
	Process      string
	For          time.Duration
}

var leaseKind = &outbox.Kind{
	Name: "adjustment_lease",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "leased_by", Type: "text"}, {Name: "lease_ms", Type: "bigint"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockAdjustments},
		{Name: "update", SQL: `UPDATE adjustments a SET leased_by = r.leased_by, leased_until = now() + r.lease_ms * interval '1 millisecond',
				attempts = a.attempts + 1, change_id = r.change_id
			FROM {rows} r JOIN {lock} USING (id)
			WHERE a.id = r.id AND a.state = 'open' AND (a.leased_by = r.leased_by OR a.leased_until < now()) RETURNING r.effect`},
	},
	Judge: judgeAdjustments,
}

// lockAdjustments takes the rows in key order, so that two commits cannot wait
// for each other.
const lockAdjustments = `SELECT a.id FROM adjustments a JOIN {rows} r ON r.id = a.id ORDER BY a.id FOR UPDATE OF a`

// judgeAdjustments knows a commit whose answer was lost by the id it left.
const judgeAdjustments = `SELECT r.effect, 'applied' FROM {rows} r JOIN adjustments a ON a.id = r.id WHERE a.change_id = r.change_id`

// Kind implements outbox.Row.
func (l Lease) Kind() *outbox.Kind { return leaseKind }

// AppendTo implements outbox.Row.
func (l Lease) AppendTo(c *outbox.Columns, effect string) {
	c.Text(l.AdjustmentID)
	c.Text(l.Process)
	c.Int(l.For.Milliseconds())
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (l Lease) GuardKey() string { return "adjustment:" + l.AdjustmentID }

// Attempted is the guard that records an attempt without a definite answer and
// gives the lease back. The adjustment stays open.
type Attempted struct {
	AdjustmentID string
	Process      string
	UnknownSince time.Time // the attempt went unanswered then; zero: it did not
	Error        string
}

var attemptedKind = &outbox.Kind{
	Name: "adjustment_attempted",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "leased_by", Type: "text"}, {Name: "unknown_since", Type: "timestamptz"},
		{Name: "last_error", Type: "text"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockAdjustments},
		{Name: "update", SQL: `UPDATE adjustments a SET leased_until = now(), last_error = r.last_error, change_id = r.change_id,
				unknown_since = coalesce(a.unknown_since, r.unknown_since)
			FROM {rows} r JOIN {lock} USING (id)
			WHERE a.id = r.id AND a.state = 'open' AND a.leased_by = r.leased_by RETURNING r.effect, a.id, a.unknown_since, a.spend_id`},
		{Name: "mark", SQL: `UPDATE spends s SET unknown_since = u.unknown_since FROM {update} u
			WHERE s.adjustment_id = u.id AND s.state = 'requested' AND s.unknown_since IS DISTINCT FROM u.unknown_since`},
		{Name: "mark_refund", SQL: `UPDATE spends s SET unknown_since = u.unknown_since FROM {update} u
			WHERE s.id = u.spend_id AND s.state = 'refunding' AND s.unknown_since IS DISTINCT FROM u.unknown_since`},
		{Name: "effects", SQL: `SELECT effect FROM {update}`},
	},
	Judge: judgeAdjustments,
}

// Kind implements outbox.Row.
func (a Attempted) Kind() *outbox.Kind { return attemptedKind }

// AppendTo implements outbox.Row.
func (a Attempted) AppendTo(c *outbox.Columns, effect string) {
	c.Text(a.AdjustmentID)
	c.Text(a.Process)
	c.Time(a.UnknownSince)
	c.Text(a.Error)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (a Attempted) GuardKey() string { return "adjustment:" + a.AdjustmentID }

// Settled is the guard that ends an adjustment with a definite outcome. Ending
// it twice is stale.
type Settled struct {
	AdjustmentID string
	Outcome      economy.OutcomeKind
	At           time.Time
	Detail       string
}

var settledKind = &outbox.Kind{
	Name: "adjustment_settled",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "state", Type: "text"}, {Name: "settled_at", Type: "timestamptz"},
		{Name: "last_error", Type: "text"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockAdjustments},
		{Name: "update", SQL: `UPDATE adjustments a SET state = r.state, settled_at = r.settled_at, last_error = r.last_error,
				unknown_since = NULL, change_id = r.change_id
			FROM {rows} r JOIN {lock} USING (id) WHERE a.id = r.id AND a.state = 'open' RETURNING r.effect`},
	},
	Judge: judgeAdjustments,
}

// Kind implements outbox.Row.
func (s Settled) Kind() *outbox.Kind { return settledKind }

// AppendTo implements outbox.Row.
func (s Settled) AppendTo(c *outbox.Columns, effect string) {
	c.Text(s.AdjustmentID)
	c.Text(string(s.Outcome))
	c.Time(s.At)
	c.Text(s.Detail)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (s Settled) GuardKey() string { return "adjustment:" + s.AdjustmentID }
