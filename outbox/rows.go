package outbox

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/events"
)

// owedRow is an event owed to a consumer.
type owedRow struct {
	delivery Delivery
	lane     events.Lane
	subject  string
	payload  []byte
	// For whoever publishes it; both stand in the payload, too.
	traceparent string
	accepted    time.Time // when its spend was, if this is the spend's first event; else zero
}

var owedKind = &Kind{
	Name:    "outbox_owed",
	Columns: []Column{{"event_id", "text"}, {"consumer", "text"}, {"lane", "text"}, {"subject", "text"}, {"payload", "json"}},
	Steps: []Step{{"insert", `INSERT INTO outbox (event_id, consumer, lane, subject, payload)
		SELECT r.event_id, r.consumer, r.lane, r.subject, r.payload FROM {rows} r
		ON CONFLICT DO NOTHING`}},
}

// owedRows lists the outbox rows of new events: one per event and consumer.
func owedRows(subscriptions Subscriptions, list []events.Event) ([]owedRow, error) {
	var rows []owedRow
	for _, event := range list {
		consumers, ok := subscriptions[event.Type]
		if !ok {
			return nil, fmt.Errorf("event %s: no consumer is declared for type %s", event.ID, event.Type)
		}
		payload, err := event.Encode()
		if err != nil {
			return nil, err
		}
		row := owedRow{lane: event.Lane, subject: event.Subject(), payload: payload, traceparent: event.Traceparent}
		if event.Type == events.SpendRequestedV1 {
			row.accepted = event.Time
		}
		for _, consumer := range consumers {
			row.delivery = Delivery{event.ID, consumer}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (r owedRow) Kind() *Kind { return owedKind }

func (r owedRow) AppendTo(c *Columns, _ string) {
	c.Text(r.delivery.EventID)
	c.Text(r.delivery.Consumer)
	c.Text(string(r.lane))
	c.Text(r.subject)
	c.JSON(r.payload)
}

// doneRow ends a delivery beside another guard.
type doneRow Delivery

var deliveryColumns = []Column{{"event_id", "text"}, {"consumer", "text"}}

// ByKey finds the row o of the delivery r. An outbox that was empty when a plan was made
// looks cheapest read from end to end, and that plan would be kept while a burst fills
// it. It is not a plan for an array: nothing could be merged by it.
const ByKey = `o.event_id = ANY (ARRAY[r.event_id]) AND o.consumer = r.consumer`

var doneKind = &Kind{
	Name:    "outbox_done",
	Columns: deliveryColumns,
	Steps: []Step{{"delete", `DELETE FROM outbox o USING {rows} r
		WHERE ` + ByKey}},
}

func (r doneRow) Kind() *Kind { return doneKind }

func (r doneRow) AppendTo(c *Columns, _ string) {
	c.Text(r.EventID)
	c.Text(r.Consumer)
}

// Finish is the guard of a delivery that needs no other change: it ends it.
// Finishing it again is a duplicate.
type Finish Delivery

var finishKind = &Kind{
	Name:    "outbox_finish",
	Columns: deliveryColumns,
	Steps: []Step{
		{"lock", lockDeliveries},
		{"delete", `DELETE FROM outbox o USING {rows} r
			WHERE ` + ByKey + ` AND ` + isLocked + ` RETURNING r.effect`},
	},
	Otherwise: Duplicate,
}

// lockDeliveries takes the rows in key order, so that two commits cannot wait
// for each other.
const lockDeliveries = `SELECT o.event_id, o.consumer FROM outbox o JOIN {rows} r
	ON ` + ByKey + `
	ORDER BY r.event_id, r.consumer FOR UPDATE OF o`

// isLocked makes a step wait for the locks, and finds its rows among them by a hash.
const isLocked = `((r.event_id, r.consumer) IN (SELECT event_id, consumer FROM {lock})) IS TRUE`

// Kind implements Row.
func (f Finish) Kind() *Kind { return finishKind }

// AppendTo implements Row.
func (f Finish) AppendTo(c *Columns, effect string) { doneRow(f).AppendTo(c, effect) }

// GuardKey implements GuardRow.
func (f Finish) GuardKey() string { return Delivery(f).key() }

func (d Delivery) key() string { return "delivery:" + d.EventID + "/" + d.Consumer }

// Park is the guard of a delivery that waits longer than the broker should hold
// it: the row becomes due at a time, and the sweeper publishes it then. Parking
// a delivery that is finished is stale.
type Park struct {
	Delivery Delivery
	Wait     time.Duration // from now, by PostgreSQL's clock
	Attempts int           // failed attempts in all
	Error    string        // what the last attempt failed with, for operators
}

var parkKind = &Kind{
	Name:    "outbox_park",
	Columns: append(deliveryColumns[:2:2], Column{"wait_ms", "bigint"}, Column{"attempts", "integer"}, Column{"error", "text"}),
	Steps: []Step{
		{"lock", lockDeliveries},
		{"update", `UPDATE outbox o SET due_at = now() + r.wait_ms * interval '1 millisecond', published_at = NULL,
				failures = CASE WHEN r.attempts > o.attempts THEN with_failure(o.failures, r.attempts, r.error) ELSE o.failures END,
				attempts = r.attempts, last_error = r.error
			FROM {rows} r WHERE ` + ByKey + ` AND ` + isLocked + ` RETURNING r.effect`},
	},
	Otherwise: Stale,
}

// Kind implements Row.
func (p Park) Kind() *Kind { return parkKind }

// AppendTo implements Row.
func (p Park) AppendTo(c *Columns, effect string) {
	doneRow(p.Delivery).AppendTo(c, effect)
	c.Int(p.Wait.Milliseconds())
	c.Int(int64(p.Attempts))
	c.Text(p.Error)
}

// GuardKey implements GuardRow.
func (p Park) GuardKey() string { return p.Delivery.key() }

// DeadLetter is the guard that sets a delivery aside for an operator: the row
// moves to dead_letters in one commit. A letter that an operator had replayed and
// that dies again is open again.
type DeadLetter struct {
	Delivery Delivery
	Lane     events.Lane
	Subject  string
	Payload  []byte // as it arrived
	Attempts int
	Error    string
	Stack    string // of a panic; empty otherwise

	Type      events.Type // with AppUserID, of what could be read as an event
	AppUserID string
	Reason    string            // panic, data, malformed or permanent
	Headers   map[string]string // of the message
}

var deadLetterKind = &Kind{
	Name: "outbox_dead_letter",
	Columns: append(deliveryColumns[:2:2], Column{"lane", "text"}, Column{"subject", "text"}, Column{"payload", "bytea"},
		Column{"attempts", "integer"}, Column{"error", "text"}, Column{"stack", "text"}, Column{"type", "text"}, Column{"app_user_id", "text"},
		Column{"reason", "text"}, Column{"headers", "jsonb"}),
	Steps: []Step{
		{"lock", lockDeliveries},
		{"insert", `INSERT INTO dead_letters AS d (event_id, consumer, lane, subject, payload, attempts, error, stack, type, app_user_id, reason, headers, owed_since, failures)
			SELECT r.event_id, r.consumer, r.lane, r.subject, r.payload, r.attempts, r.error, r.stack, r.type, r.app_user_id, r.reason, r.headers,
				o.owed_since, with_failure(coalesce(o.failures, '[]'), r.attempts, r.error)
			FROM {rows} r LEFT JOIN outbox o ON ` + ByKey + `
			ON CONFLICT (event_id, consumer) DO UPDATE SET died_at = now(), resolved_at = NULL, resolution = '', attempts = excluded.attempts,
				error = excluded.error, stack = excluded.stack, payload = excluded.payload, reason = excluded.reason, headers = excluded.headers,
				failures = excluded.failures, owed_since = coalesce(d.owed_since, excluded.owed_since)
			RETURNING event_id, consumer`},
		{"delete", `DELETE FROM outbox o USING {rows} r
			WHERE ` + ByKey + ` AND ` + isLocked + ` RETURNING 1`},
		{"effects", `SELECT r.effect FROM {rows} r WHERE ((r.event_id, r.consumer) IN (SELECT event_id, consumer FROM {insert})) IS TRUE`},
	},
	Otherwise: Duplicate,
}

// Kind implements Row.
func (d DeadLetter) Kind() *Kind { return deadLetterKind }

// AppendTo implements Row.
func (d DeadLetter) AppendTo(c *Columns, effect string) {
	doneRow(d.Delivery).AppendTo(c, effect)
	c.Text(string(d.Lane))
	c.Text(d.Subject)
	c.Bytes(d.Payload)
	c.Int(int64(d.Attempts))
	c.Text(d.Error)
	c.Text(d.Stack)
	c.Text(string(d.Type))
	c.Text(d.AppUserID)
	c.Text(cmp.Or(d.Reason, "permanent"))
	c.JSON(jsonObject(d.Headers))
}

// GuardKey implements GuardRow.
func (d DeadLetter) GuardKey() string { return d.Delivery.key() }
