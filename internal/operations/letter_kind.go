package operations

import (
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

var letterKey = []outbox.Column{{Name: "event_id", Type: "text"}, {Name: "consumer", Type: "text"}}

// lockLetters takes the open letters in key order, so that two commits cannot wait
// for each other.
const lockLetters = `SELECT d.event_id, d.consumer FROM dead_letters d JOIN {rows} r ON d.event_id = r.event_id AND d.consumer = r.consumer
	WHERE d.resolved_at IS NULL ORDER BY d.event_id, d.consumer FOR UPDATE OF d`

// isLocked makes a step wait for the locks, and finds its rows among them by a hash.
const isLocked = `((r.event_id, r.consumer) IN (SELECT event_id, consumer FROM {lock})) IS TRUE`

// judgeLetters knows a commit whose answer was lost by the id it left.
const judgeLetters = `SELECT r.effect, 'applied' FROM {rows} r JOIN dead_letters d ON d.event_id = r.event_id AND d.consumer = r.consumer
	WHERE d.change_id = r.change_id`

// retried is the guard that puts an open letter's event back as owed. Of a letter
// that is not open it is stale.
type retried struct {
	key        LetterKey
	event      events.Event // what is delivered: its lane and subject say where
	edited     []byte       // the event as an operator wrote it; nil: as it arrived
	resolution string
}

// What an outbox row had been republished before is not known any more. The counter
// makes ids of messages, which the broker's window of duplicates must not know: it
// begins a thousand further with every retry.
var retriedKind = &outbox.Kind{
	Name: "dead_letter_retried",
	Columns: append(letterKey[:2:2], outbox.Column{Name: "lane", Type: "text"}, outbox.Column{Name: "type", Type: "text"},
		outbox.Column{Name: "subject", Type: "text"}, outbox.Column{Name: "app_user_id", Type: "text"}, outbox.Column{Name: "edited", Type: "text"},
		outbox.Column{Name: "resolution", Type: "text"}, outbox.Column{Name: "change_id", Type: "uuid"}),
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockLetters},
		{Name: "update", SQL: `UPDATE dead_letters d SET resolved_at = now(), resolution = r.resolution, retries = d.retries + 1, change_id = r.change_id,
				lane = r.lane, type = r.type, subject = r.subject, app_user_id = coalesce(r.app_user_id, d.app_user_id), payload = coalesce(convert_to(r.edited, 'UTF8'), d.payload),
				original = CASE WHEN r.edited IS NULL THEN d.original ELSE coalesce(d.original, d.payload) END
			FROM {rows} r WHERE d.event_id = r.event_id AND d.consumer = r.consumer AND ` + isLocked + `
			RETURNING r.effect, d.event_id, d.consumer, d.lane, d.subject, d.payload, d.retries, d.failures`},
		{Name: "owe", SQL: `INSERT INTO outbox (event_id, consumer, lane, subject, payload, published_at, republished, failures)
			SELECT u.event_id, u.consumer, u.lane, u.subject, convert_from(u.payload, 'UTF8')::json, NULL, 1000 * u.retries, u.failures FROM {update} u
			ON CONFLICT DO NOTHING`},
		{Name: "effects", SQL: `SELECT effect FROM {update}`},
	},
	Judge: judgeLetters,
}

// Kind implements outbox.Row.
func (r retried) Kind() *outbox.Kind { return retriedKind }

// AppendTo implements outbox.Row.
func (r retried) AppendTo(c *outbox.Columns, effect string) {
	c.Text(r.key.EventID)
	c.Text(r.key.Consumer)
	c.Text(string(r.event.Lane))
	c.Text(string(r.event.Type))
	c.Text(r.event.Subject())
	if r.edited == nil {
		c.TextOrNull("") // whose it is stays
	} else {
		c.TextOrNull(r.event.AppUserID)
	}
	c.TextOrNull(string(r.edited))
	c.Text(r.resolution)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow. It is that of the delivery: an event that dies
// again must not be in one statement with its retry.
func (r retried) GuardKey() string { return deliveryKey(r.key) }

func deliveryKey(key LetterKey) string { return "delivery:" + key.EventID + "/" + key.Consumer }

// resolved is the guard that ends an open letter. Of a letter that is not open it is stale.
type resolved struct {
	key        LetterKey
	resolution string
}

var resolvedKind = &outbox.Kind{
	Name:    "dead_letter_resolved",
	Columns: append(letterKey[:2:2], outbox.Column{Name: "resolution", Type: "text"}, outbox.Column{Name: "change_id", Type: "uuid"}),
	Steps: []outbox.Step{
		{Name: "lock", SQL: lockLetters},
		{Name: "update", SQL: `UPDATE dead_letters d SET resolved_at = now(), resolution = r.resolution, change_id = r.change_id
			FROM {rows} r WHERE d.event_id = r.event_id AND d.consumer = r.consumer AND ` + isLocked + ` RETURNING r.effect`},
	},
	Judge: judgeLetters,
}

// Kind implements outbox.Row.
func (r resolved) Kind() *outbox.Kind { return resolvedKind }

// AppendTo implements outbox.Row.
func (r resolved) AppendTo(c *outbox.Columns, effect string) {
	c.Text(r.key.EventID)
	c.Text(r.key.Consumer)
	c.Text(r.resolution)
	c.Text(effect)
}

// GuardKey implements outbox.GuardRow.
func (r resolved) GuardKey() string { return deliveryKey(r.key) }
