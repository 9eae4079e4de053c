package operations

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluice-gems/sluice/events"
)

// EditLetter retries a dead letter with another payload, which must be an event of the
// same id, type, lane and spend that the consumer takes. It is for our own producers'
// mistakes. What arrived is kept beside it. Errors: those of RetryLetter; *InputError.
func (d *Desk) EditLetter(ctx context.Context, who Who, reason string, key LetterKey, payload []byte) error {
	return d.onLetter(ctx, who, reason, key, func(ctx context.Context, who Who, reason string, l Letter) error {
		event, err := d.edited(l, payload)
		if err != nil {
			return err
		}
		after := l.side()
		after["payload"] = shown(payload)
		before := l.side()
		before["payload"] = shown(l.Payload)
		guard := retried{key: l.LetterKey, event: event, edited: payload, resolution: said("edited and retried", who, reason)}
		return d.commitLetter(ctx, guard, d.act(who, reason, DeedEditLetter, l.String(), l.Player, before, after))
	})
}

// edited checks the payload that is to take the place of a letter's.
func (d *Desk) edited(l Letter, payload []byte) (events.Event, error) {
	if !utf8.Valid(payload) {
		return events.Event{}, badInput("the payload is not text in UTF-8")
	}
	event, err := events.Decode(payload)
	if err != nil {
		return events.Event{}, badInput("the payload is no event: %v", err)
	}
	before, err := events.Decode(l.Payload)
	switch {
	case event.ID != l.EventID:
		return events.Event{}, badInput("the event's id is %q, that of the dead letter %q: keep it", event.ID, l.EventID)
	case err == nil && event.Type != before.Type:
		return events.Event{}, badInput("the event's type is %s, that of the dead letter %s: keep it", event.Type, before.Type)
	case !ofItsSpend(event):
		return events.Event{}, badInput("the event's spend_id is not the spend of its id %q: keep it", event.ID)
	case !slices.Contains(d.Owed[event.Type], l.Consumer):
		return events.Event{}, badInput("%s takes no events of type %q", l.Consumer, event.Type)
	case l.Lane != "" && string(event.Lane) != l.Lane:
		return events.Event{}, badInput("the event's lane is %s, that of the dead letter %s: keep it", event.Lane, l.Lane)
	case !onItsLane(event):
		return events.Event{}, badInput("nobody takes a %s on the lane %q", event.Type, event.Lane)
	case strings.ContainsRune(event.AppUserID, 0):
		return events.Event{}, badInput("the event's subject is no App User ID")
	}
	return event, nil
}

// spendFacts are the events whose ids say which spend they are about.
var spendFacts = []events.Type{events.SpendRequestedV1, events.SpendChargedV1, events.SpendRefundingV1}

// ofItsSpend reports whether an event is about the spend that its id names. Otherwise a
// retry would act on another spend, and end the delivery that this one waits for.
func ofItsSpend(event events.Event) bool {
	if !slices.Contains(spendFacts, event.Type) {
		return true
	}
	id, err := event.SpendID()
	return err == nil && events.EventID(event.Type, id) == event.ID
}

// onItsLane reports whether somebody takes an event on its lane: spends are alone on the
// live one. On another it would be owed for ever.
func onItsLane(event events.Event) bool {
	return slices.Contains(events.Lanes, event.Lane) && (event.Lane == events.Live) == slices.Contains(spendFacts, event.Type)
}

// shown is a payload as the audit keeps it: text, or base64 of what PostgreSQL has no text for.
func shown(payload []byte) string {
	if utf8.Valid(payload) && bytes.IndexByte(payload, 0) < 0 {
		return string(payload)
	}
	return "base64:" + base64.StdEncoding.EncodeToString(payload)
}
