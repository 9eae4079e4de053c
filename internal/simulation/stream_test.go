package simulation

import (
	"slices"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/events"
)

// stream models JetStream: it loses, doubles, reorders and forgets. Each consumer
// has a durable of its own.
type stream struct {
	*world
	unfinished []*message
	seen       map[string]bool // ids published: the window of duplicates
}

// message is one message and where its one consumer stands with it.
type message struct {
	id         string
	consumer   string
	event      events.Event
	payload    []byte
	header     map[string]string
	stored     time.Time
	ready      time.Time // not handed out before
	deliveries int
	holder     *process // nil: nobody has it in hand
}

func newStream(w *world) *stream { return &stream{world: w, seen: map[string]bool{}} }

// publish stores an event under a message id, once per id.
func (s *stream) publish(event events.Event, id string, header map[string]string) {
	if s.wrong.doneAtPublish {
		s.db.forget(event)
	}
	if s.chance(s.faults.PublishLost) {
		s.say("publish %s: lost", id)
		return
	}
	if s.seen[id] {
		return
	}
	s.seen[id] = true
	copies := 1
	if s.chance(s.faults.PublishTwice) {
		copies = 2
	}
	payload, err := event.Encode()
	if err != nil {
		panic(err)
	}
	s.say("publish %s, %d times", id, copies)
	for _, consumer := range subscriptions[event.Type] {
		for range copies {
			s.unfinished = append(s.unfinished, &message{
				id: id, consumer: consumer, event: event, payload: payload, header: header, stored: s.now(), ready: s.now(),
			})
		}
	}
}

// waiting lists the messages that may be handed out now, in no order of worth.
func (s *stream) waiting() []*message {
	var list []*message
	for _, m := range s.unfinished {
		if m.holder == nil && !m.ready.After(s.now()) {
			list = append(list, m)
		}
	}
	return list
}

// ack finishes a message; a second one changes nothing.
func (s *stream) ack(m *message) {
	if s.chance(s.faults.AckLost) {
		s.say("ack of %s: lost", m.id)
		s.nak(m, consumers.AckWait)
		return
	}
	s.unfinished = slices.DeleteFunc(s.unfinished, func(other *message) bool { return other == m })
}

// nak has a message handed out again after a wait.
func (s *stream) nak(m *message, wait time.Duration) {
	m.holder, m.ready = nil, s.now().Add(wait)
}

// orphan gives up on the deliveries of a process that died.
func (s *stream) orphan(p *process) {
	for _, m := range s.unfinished {
		if m.holder == p {
			s.nak(m, consumers.AckWait)
		}
	}
}

// redeliver takes a delivery in hand for lost, although it is not.
func (s *stream) redeliver() {
	for _, m := range s.unfinished {
		if m.holder != nil && s.random.IntN(2) == 0 {
			s.say("%s is taken for lost", m.id)
			s.nak(m, 0)
			return
		}
	}
}

// wipe deletes the stream with all it knows.
func (s *stream) wipe() {
	s.say("the stream is wiped: %d messages", len(s.unfinished))
	s.unfinished, s.seen = nil, map[string]bool{}
}

// oldest returns the age of a consumer's oldest unfinished message; 0 when it has
// none.
func (s *stream) oldest(consumer string) time.Duration {
	var age time.Duration
	for _, m := range s.unfinished {
		if m.consumer == consumer {
			age = max(age, s.now().Sub(m.stored))
		}
	}
	return age
}
