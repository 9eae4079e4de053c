package purchases

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/sluice-gems/sluice/outbox"
)

// Verdict is what intake made of a webhook.
type Verdict string

// The verdicts.
const (
	Accepted           Verdict = "accepted"
	RefusedEnvironment Verdict = "refused_environment" // of an environment that this installation does not take
	Undecodable        Verdict = "undecodable"         // authentic, and no event: kept for inspection
)

// Received is the guard that keeps a webhook: its event was not received before.
// The raw event is stored with it.
//
// Results: Applied; Duplicate when an event with this key was received before.
type Received struct {
	ID          string // UUIDv7, ours
	EventKey    string // the provider's event id, or BodyKey of a body that has none
	EventAt     time.Time
	ReceivedAt  time.Time
	Type        string
	Environment string
	Verdict     Verdict
	Error       string            // of an undecodable one
	Headers     map[string]string // those worth keeping; never Authorization
	Body        []byte            // as it came
}

// BodyKey is the event key of a body that is no event: the same body is kept once.
func BodyKey(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

var receivedKind = &outbox.Kind{
	Name: "webhook_received",
	Columns: []outbox.Column{
		{Name: "id", Type: "uuid"}, {Name: "event_key", Type: "text"}, {Name: "event_at", Type: "timestamptz"},
		{Name: "received_at", Type: "timestamptz"}, {Name: "type", Type: "text"}, {Name: "environment", Type: "text"},
		{Name: "verdict", Type: "text"}, {Name: "error", Type: "text"}, {Name: "headers", Type: "jsonb"}, {Name: "body", Type: "bytea"},
	},
	Steps: []outbox.Step{
		{Name: "key", SQL: `INSERT INTO webhook_keys (event_key, webhook_id, received_at)
			SELECT r.event_key, r.id, r.received_at FROM {rows} r ORDER BY r.event_key
			ON CONFLICT DO NOTHING RETURNING webhook_id`},
		{Name: "event", SQL: `INSERT INTO webhook_events (id, received_at, event_at, event_key, verdict, type, environment, error, headers, body)
			SELECT r.id, r.received_at, r.event_at, r.event_key, r.verdict, r.type, r.environment, r.error, r.headers, r.body
			FROM {rows} r WHERE (r.id IN (SELECT webhook_id FROM {key})) IS TRUE`},
		{Name: "effects", SQL: `SELECT r.effect FROM {rows} r WHERE (r.id IN (SELECT webhook_id FROM {key})) IS TRUE`},
	},
	Judge: `SELECT r.effect, CASE WHEN k.webhook_id = r.id THEN 'applied' ELSE 'duplicate' END
		FROM {rows} r JOIN webhook_keys k ON k.event_key = r.event_key`,
}

// Kind implements outbox.Row.
func (r Received) Kind() *outbox.Kind { return receivedKind }

// AppendTo implements outbox.Row.
func (r Received) AppendTo(c *outbox.Columns, _ string) {
	c.Text(r.ID)
	c.Text(r.EventKey)
	c.Time(r.EventAt)
	c.Time(r.ReceivedAt)
	c.Text(r.Type)
	c.Text(r.Environment)
	c.Text(string(r.Verdict))
	c.Text(r.Error)
	c.JSON(mustJSON(r.Headers))
	c.Bytes(r.Body)
}

// GuardKey implements outbox.GuardRow.
func (r Received) GuardKey() string { return "webhook:" + r.EventKey }

// mustJSON encodes what always encodes: maps and structs of text, numbers and times.
func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
