package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// Sent is an event and what became of its webhook.
type Sent struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	At       time.Time `json:"at"`
	State    SentState `json:"state"`
	Attempts int       `json:"attempts"`
	Status   int       `json:"status"` // of the last attempt; 0: no answer, or none was made
	Body     []byte    `json:"-"`
}

// SentState is where an event's webhook stands.
type SentState string

// The states of an event's webhook.
const (
	SentPending   SentState = "pending"
	SentDelivered SentState = "delivered"
	SentLost      SentState = "lost"    // by a fault, or since there is no receiver: never sent
	SentDropped   SentState = "dropped" // all attempts failed
)

// WebhookStats are counters since the start, or since the last reset.
type WebhookStats struct {
	Events    int `json:"events"`
	Attempts  int `json:"attempts"`
	Delivered int `json:"delivered"`
	Lost      int `json:"lost"`
	Dropped   int `json:"dropped"`
	Pending   int `json:"pending"`
}

// Events returns the events so far, oldest first, the newest 20,000 of them.
func (s *Simulator) Events() []Sent {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	out := make([]Sent, len(s.hooks.events))
	for i, sent := range s.hooks.events {
		out[i] = *sent
	}
	return out
}

// errNoEvent says that an id names no event, or one that is not kept any more.
var errNoEvent = errors.New("no such event")

// Resend posts an event once more, now, whatever became of it: the button Retry of
// the provider's dashboard. It returns the answer's status; 0: there was none.
func (s *Simulator) Resend(ctx context.Context, eventID string) (int, error) {
	h := s.hooks
	h.mu.Lock()
	at := slices.IndexFunc(h.events, func(sent *Sent) bool { return sent.ID == eventID })
	if at < 0 || h.config.URL == "" {
		h.mu.Unlock()
		return 0, errNoEvent
	}
	sent := h.events[at]
	h.mu.Unlock()
	status := h.attempt(ctx, sent)
	h.mu.Lock()
	defer h.mu.Unlock()
	if status == http.StatusOK && sent.State != SentDelivered && sent.State != SentPending {
		sent.State = SentDelivered
	}
	return status, nil
}

// errNoReceiver says that webhooks go nowhere.
var errNoReceiver = errors.New("webhooks are off: there is no receiver")

// Send posts a body that the caller wrote once, now, whatever the faults, and proved as
// all webhooks are. It becomes one of the events, by the id that it gives itself; the
// bytes may also be none of the provider's, to see what the receiver does.
func (s *Simulator) Send(ctx context.Context, body []byte) (Sent, error) {
	h := s.hooks
	if h.config.URL == "" {
		return Sent{}, errNoReceiver
	}
	var own struct {
		Event struct{ ID, Type string }
	}
	_ = json.Unmarshal(body, &own) // what is none has no id
	sent := &Sent{ID: own.Event.ID, Type: own.Event.Type, At: h.now(), State: SentPending, Body: body}
	h.mu.Lock()
	h.keep(sent)
	h.mu.Unlock()
	state := SentDropped
	if h.attempt(ctx, sent) == http.StatusOK {
		state = SentDelivered
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle(sent, state)
	return *sent, nil
}

// WaitWebhooks returns when no event is on its way: all are delivered, lost or dropped.
func (s *Simulator) WaitWebhooks(ctx context.Context) error {
	s.hooks.mu.Lock()
	idle := s.hooks.idle
	s.hooks.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WebhookStats returns the counters.
func (s *Simulator) WebhookStats() WebhookStats {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	out := s.hooks.stats
	out.Pending = s.hooks.pending
	return out
}
