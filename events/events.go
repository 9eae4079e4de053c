// Package events is the wire contract between the parts of Sluice: the types of
// facts, the envelope that carries one, and the subjects it travels on. A fact
// once published is never changed in place: a new shape is a new version of the
// type, and the golden files in testdata hold the old ones.
package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// Type names a fact: noun, what happened, version.
type Type string

// The facts of a spend.
const (
	SpendRequestedV1 Type = "spend.requested.v1"
	SpendChargedV1   Type = "spend.charged.v1"
	SpendRefundingV1 Type = "spend.refunding.v1"
)

// Types lists every fact that is published.
var Types = []Type{
	SpendRequestedV1, SpendChargedV1, SpendRefundingV1,
	StoreWebhookReceivedV1, StoreCurrencyMovedV1, StorePurchaseChangedV1, StorePurchaseChangedV2, StoreCustomerChangedV1, CustomerResyncRequestedV1,
}

// Lane keeps traffic apart that must not delay each other.
type Lane string

// The lanes.
const (
	Live  Lane = "live"  // a player waits
	Store Lane = "store" // webhooks, bursty
	Bulk  Lane = "bulk"  // backfills
)

// Lanes lists every lane, most urgent first.
var Lanes = []Lane{Live, Store, Bulk}

// Partitions is the number of partitions of a lane. It is fixed for the life of
// a stream. They are reserved for affinity, never correctness: a subject names its
// partition, and no consumer reads by it yet.
const Partitions = 16

// source is the envelope's CloudEvents source: every fact is ours.
const source = "/sluice"

// Event is one fact on its way. Its JSON form is a CloudEvents 1.0 structured
// envelope, see Encode.
type Event struct {
	ID        string // unique and derived from what it is about: the same fact has the same id
	Type      Type
	Lane      Lane
	AppUserID string // whom it is about; decides the partition
	Time      time.Time
	Data      json.RawMessage
	// Traceparent is the W3C trace context of the step that made it, so that whoever
	// consumes it continues that trace, however often and by whom it is published;
	// empty when that step was not traced.
	Traceparent string
}

// SpendRequested says that a player has a spend waiting to be charged.
type SpendRequested struct {
	SpendID string `json:"spend_id"`
}

// SpendCharged says that the provider took a spend's cost and the item is owed.
type SpendCharged struct {
	SpendID string `json:"spend_id"`
}

// SpendRefunding says that a charged spend's item was refused and its cost is owed back.
type SpendRefunding struct {
	SpendID string `json:"spend_id"`
}

// NewSpendRequested returns the fact for a spend just accepted.
func NewSpendRequested(spendID, appUserID string, at time.Time) Event {
	return newSpendEvent(SpendRequestedV1, spendID, appUserID, at)
}

// NewSpendCharged returns the fact for a spend just charged.
func NewSpendCharged(spendID, appUserID string, at time.Time) Event {
	return newSpendEvent(SpendChargedV1, spendID, appUserID, at)
}

// NewSpendRefunding returns the fact for a spend whose item was just refused.
func NewSpendRefunding(spendID, appUserID string, at time.Time) Event {
	return newSpendEvent(SpendRefundingV1, spendID, appUserID, at)
}

func newSpendEvent(t Type, spendID, appUserID string, at time.Time) Event {
	data := append(appendString([]byte(`{"spend_id":`), spendID), '}') // the three payloads have one shape
	return Event{ID: EventID(t, spendID), Type: t, Lane: Live, AppUserID: appUserID, Time: at, Data: data}
}

// EventID derives the id of a spend's fact, so that producing it twice is
// producing it once: "<spend id>.charged" for spend.charged.v1.
func EventID(t Type, spendID string) string {
	switch t {
	case SpendRequestedV1:
		return spendID + ".requested"
	case SpendChargedV1:
		return spendID + ".charged"
	case SpendRefundingV1:
		return spendID + ".refunding"
	default:
		return spendID + "." + string(t)
	}
}

// Partition returns the partition of a player's facts, 0 to Partitions-1.
func Partition(appUserID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(appUserID))
	return int(h.Sum32() % Partitions)
}

// Subject returns where the event is published: sluice.<lane>.<type>.<partition>.
func (e Event) Subject() string { return SubjectOf(e.Lane, e.Type, Partition(e.AppUserID)) }

// SubjectOf builds a subject from its parts; the partition has two digits.
func SubjectOf(lane Lane, t Type, partition int) string {
	return "sluice." + string(lane) + "." + string(t) + "." + string([]byte{'0' + byte(partition/10%10), '0' + byte(partition%10)})
}

// Filter matches every partition of a type on a lane.
func Filter(lane Lane, t Type) string { return fmt.Sprintf("sluice.%s.%s.*", lane, t) }

// envelope is the JSON form: CloudEvents 1.0 names, lane as an extension, and that
// of CloudEvents for distributed tracing.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        Type            `json:"type"`
	Lane        Lane            `json:"lane"`
	Subject     string          `json:"subject"`
	Time        time.Time       `json:"time"`
	Traceparent string          `json:"traceparent"`
	Data        json.RawMessage `json:"data"`
}

// ErrMalformed says that bytes are not an event of ours. Retrying cannot help.
var ErrMalformed = errors.New("not a sluice event")

// Encode returns the event's wire form. The same bytes are stored in the outbox,
// published, and published again. Written by hand it costs a fraction of
// encoding/json, which is noticed once per spend and hop; a test compares the two.
func (e Event) Encode() ([]byte, error) {
	if !json.Valid(e.Data) {
		return nil, fmt.Errorf("encode event %s: its data is not JSON", e.ID)
	}
	if year := e.Time.UTC().Year(); year < 0 || year > 9999 { // RFC 3339
		return nil, fmt.Errorf("encode event %s: its time is in the year %d", e.ID, year)
	}
	out := make([]byte, 0, 256+len(e.Data))
	out = append(out, `{"specversion":"1.0","id":`...)
	out = appendString(out, e.ID)
	out = append(out, `,"source":"`+source+`","type":`...)
	out = appendString(out, string(e.Type))
	out = append(out, `,"lane":`...)
	out = appendString(out, string(e.Lane))
	out = append(out, `,"subject":`...)
	out = appendString(out, e.AppUserID)
	out = append(out, `,"time":"`...)
	out = e.Time.UTC().AppendFormat(out, time.RFC3339Nano)
	out = append(out, '"')
	if e.Traceparent != "" {
		out = append(out, `,"traceparent":`...)
		out = appendString(out, e.Traceparent)
	}
	out = append(out, `,"data":`...)
	out = append(out, e.Data...)
	return append(out, '}'), nil
}

// appendString appends s as a JSON string. Plain text, which ids are, is copied;
// anything else is left to encoding/json.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always encodes
				panic(err)
			}
			return append(out, quoted...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}

// Decode reads an event's wire form. Errors wrap ErrMalformed. Unknown members
// are ignored; an unknown type is not an error here, whoever consumes it decides.
func Decode(raw []byte) (Event, error) {
	env, ours := decodeOurs(raw)
	if !ours {
		env = envelope{}
		if err := json.Unmarshal(raw, &env); err != nil {
			return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	if env.ID == "" || env.Type == "" || env.Lane == "" || env.Subject == "" {
		return Event{}, fmt.Errorf("%w: id, type, lane or subject is missing", ErrMalformed)
	}
	// An offset can carry year 9999 beyond what Encode can write again.
	at := env.Time.UTC()
	if at.Year() < 0 || at.Year() > 9999 {
		return Event{}, fmt.Errorf("%w: time is out of range", ErrMalformed)
	}
	return Event{
		ID: env.ID, Type: env.Type, Lane: env.Lane, AppUserID: env.Subject, Time: at, Data: env.Data, Traceparent: env.Traceparent,
	}, nil
}

// SpendID returns the spend an event is about. Errors wrap ErrMalformed.
func (e Event) SpendID() (string, error) {
	if id, rest, ok := plainAfter(e.Data, `{"spend_id":"`); ok && string(rest) == "}" && id != "" {
		return id, nil
	}
	var data struct {
		SpendID string `json:"spend_id"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return "", fmt.Errorf("event %s: %w: %w", e.ID, ErrMalformed, err)
	}
	if data.SpendID == "" {
		return "", fmt.Errorf("event %s: %w: spend_id is missing", e.ID, ErrMalformed)
	}
	return data.SpendID, nil
}
