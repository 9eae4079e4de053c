package rcwebhook

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/internal/revenuecat/webhooks"
)

// Policy says what becomes of a body, whoever brings it: the provider, or an archive.
type Policy struct {
	Environments Environments
	Redact       []string // subscriber attributes whose values are not stored; "*": none of them is
}

// BodyMax is the largest body, in bytes; events have a few kilobytes.
const BodyMax = 1 << 20

// Judge returns the row to keep for a body, but for its ID, its headers and when it
// arrived, and what it tells: the events to commit with the row, by its ID and that time;
// none for what nobody acts on. An error says why the body is no event of the provider's.
func (p Policy) Judge(body []byte) (received purchases.Received, tell func(webhookID string, receivedAt time.Time) []events.Event, err error) {
	if len(body) > BodyMax {
		return received, nil, fmt.Errorf("it has more than %d bytes", BodyMax)
	}
	received, event, err := p.judge(body)
	if err != nil {
		return received, nil, errors.New(printable(err.Error()))
	}
	return received, func(id string, at time.Time) []events.Event { return tells(event, received.Verdict, id, at) }, nil
}

// judge is Judge with the event. After an error only the body, without what is hidden
// of it, is set.
func (p Policy) judge(body []byte) (purchases.Received, webhooks.Event, error) {
	received := purchases.Received{Body: redact(body, p.Redact)}
	event, err := parse(body)
	if err != nil {
		return received, event, err
	}
	received.EventKey, received.EventAt, received.Type, received.Environment = event.ID, event.At, string(event.Type), event.Environment
	received.Verdict = purchases.Accepted
	if !p.Environments.take(event) {
		received.Verdict = purchases.RefusedEnvironment
	}
	return received, event, nil
}

// tells returns whom an event is owed to.
func tells(event webhooks.Event, verdict purchases.Verdict, webhookID string, at time.Time) []events.Event {
	switch {
	case verdict != purchases.Accepted, event.AppUserID == "": // there is no one to do anything for
	case event.Route() == webhooks.RoutePurchases:
		return []events.Event{events.NewStoreWebhookReceived(webhookID, event.AppUserID, at)}
	case event.Route() == webhooks.RouteCurrency:
		return []events.Event{events.NewStoreCurrencyMoved(webhookID, event.AppUserID, at)}
	}
	return nil
}

// parse reads the head of an event, and refuses what PostgreSQL cannot keep.
func parse(body []byte) (webhooks.Event, error) {
	if !utf8.Valid(body) {
		return webhooks.Event{}, errors.New("it is not UTF-8")
	}
	event, err := webhooks.Parse(body)
	if err != nil {
		return webhooks.Event{}, err
	}
	for _, text := range []string{event.ID, string(event.Type), event.Environment, event.AppUserID} {
		if strings.ContainsRune(text, 0) {
			return webhooks.Event{}, errors.New("a NUL stands in its id, type, environment or player")
		}
	}
	return event, nil
}
