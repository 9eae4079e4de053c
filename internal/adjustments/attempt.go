package adjustments

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/outbox"
)

// Lease is the guard that adopts an open adjustment for one more attempt: nobody
// else holds a lease on it, and nobody has made that attempt meanwhile. Otherwise
// it is stale.
type Lease struct {
	AdjustmentID string
	Process      string
	Attempt      int64 // the number of the attempt it is for, one more than those made
	For          time.Duration
}

var leaseKind = &outbox.Kind{
	Name: "adjustment_lease",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "leased_by", Type: "text"}, {Name: "attempt", Type: "bigint"}, {Name: "lease_ms", Type: "bigint"},
		{Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockAdjustments},
		{Name: "update", SQL: `UPDATE adjustments a SET leased_by = r.leased_by, leased_until = now() + r.lease_ms * interval '1 millisecond',
				attempts = r.attempt, change_id = r.change_id
			FROM {rows} r WHERE a.id = r.id AND (r.id IN (SELECT id FROM {lock})) IS TRUE
				AND a.state IN ('open', 'unknown') AND a.attempts = r.attempt - 1
				AND (a.leased_by IN ('', r.leased_by) OR a.leased_until < now()) RETURNING r.effect`},
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
	c.Int(l.Attempt)
	c.Int(l.For.Milliseconds())
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (l Lease) GuardKey() string { return "adjustment:" + l.AdjustmentID }

// Attempted is the guard that records the latest attempt, which had no definite
// answer, and gives the lease back. The adjustment stays open. A lease that was
// never given back tells whoever takes the next one that nobody heard what came
// of the attempt.
type Attempted struct {
	AdjustmentID string
	Attempt      int64
	UnknownSince time.Time // this attempt, or one before, went unanswered then; zero: none did
	Error        string
	Aside        bool // it has been unknown for long: the player's later spends pass it from now on
	Conflict     bool // the provider has seen the key and says no more (409): nothing comes of it any more
}

var attemptedKind = &outbox.Kind{
	Name: "adjustment_attempted",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "attempt", Type: "bigint"}, {Name: "unknown_since", Type: "timestamptz"},
		{Name: "last_error", Type: "text"}, {Name: "aside", Type: "boolean"}, {Name: "conflict", Type: "boolean"}, {Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockAdjustments},
		{Name: "update", SQL: `UPDATE adjustments a SET leased_by = '', leased_until = now(), last_error = r.last_error, change_id = r.change_id,
				state = CASE WHEN r.aside THEN 'unknown' ELSE a.state END,
				unknown_since = coalesce(a.unknown_since, r.unknown_since),
				conflict_at = coalesce(a.conflict_at, CASE WHEN r.conflict THEN now() END)
			FROM {rows} r WHERE a.id = r.id AND (r.id IN (SELECT id FROM {lock})) IS TRUE
				AND a.state IN ('open', 'unknown') AND a.attempts = r.attempt RETURNING r.effect, a.id, a.app_user_id, a.unknown_since, a.spend_id`},
		{Name: "mark", SQL: `UPDATE spends s SET unknown_since = u.unknown_since FROM {update} u
			WHERE s.app_user_id = u.app_user_id AND s.finished_at IS NULL AND s.adjustment_id = u.id AND s.state = 'requested' AND s.unknown_since IS DISTINCT FROM u.unknown_since`},
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
	c.Int(a.Attempt)
	c.Time(a.UnknownSince)
	c.Text(a.Error)
	c.Bool(a.Aside)
	c.Bool(a.Conflict)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (a Attempted) GuardKey() string { return "adjustment:" + a.AdjustmentID }

// Settled is the guard that ends an adjustment with a definite outcome. Ending
// it twice is stale. So is the word of an attempt that it was not applied once
// another attempt has begun: that one may be applied by now, since a balance can
// have grown between the two. That it was applied stays true whoever says so,
// unless it was only concluded.
type Settled struct {
	AdjustmentID string
	Attempt      int64
	Outcome      economy.OutcomeKind
	At           time.Time
	Detail       string
	Concluded    bool      // from a reading: it counts only while no other attempt has begun
	AnsweredAsOf time.Time // when the call began whose answer told the balances; zero: none did
}

var settledKind = &outbox.Kind{
	Name: "adjustment_settled",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "attempt", Type: "bigint"}, {Name: "state", Type: "text"}, {Name: "settled_at", Type: "timestamptz"},
		{Name: "last_error", Type: "text"}, {Name: "concluded", Type: "boolean"}, {Name: "answered_as_of", Type: "timestamptz"},
		{Name: "change_id", Type: "uuid"},
	},
	Steps: []outbox.Step{
		// In key order, so that two commits cannot wait for each other. That attempts went
		// unanswered, and the last error, stay for the spend's story.
		{Name: "update", SQL: `UPDATE adjustments a SET state = r.state, settled_at = r.settled_at, last_error = coalesce(nullif(r.last_error, ''), a.last_error),
				answered_as_of = r.answered_as_of, change_id = r.change_id
			FROM (SELECT * FROM {rows} ORDER BY id) r WHERE a.id = r.id
				AND a.state IN ('open', 'unknown') AND (r.state = 'applied' AND NOT r.concluded OR a.attempts = r.attempt) RETURNING r.effect`},
	},
	Judge: judgeAdjustments,
}

// Kind implements outbox.Row.
func (s Settled) Kind() *outbox.Kind { return settledKind }

// AppendTo implements outbox.Row.
func (s Settled) AppendTo(c *outbox.Columns, effect string) {
	c.Text(s.AdjustmentID)
	c.Int(s.Attempt)
	c.Text(string(s.Outcome))
	c.Time(s.At)
	c.Text(s.Detail)
	c.Bool(s.Concluded)
	c.Time(s.AnsweredAsOf)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (s Settled) GuardKey() string { return "adjustment:" + s.AdjustmentID }
