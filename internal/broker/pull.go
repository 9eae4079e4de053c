package broker

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// receive takes what the server sends to an inbox. It never blocks.
func (s *subscription) receive(in *inbox, m *nats.Msg) {
	if m.Reply == "" {
		s.status(in, m)
		return
	}
	meta, err := m.Metadata()
	if err != nil {
		s.conn.log.Error("not a jetstream message", "consumer", s.durable.Name(), "error", err)
		return
	}
	if answer := s.accept(in, m, meta); answer != nil {
		s.answer(m.Reply, answer)
	}
}

// accept queues a message for a handler, or returns what to answer instead.
func (s *subscription) accept(in *inbox, m *nats.Msg, meta *nats.MsgMetadata) (answer []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in == s.inbox {
		in.credit.took()
		if in.credit.messages == 0 {
			defer s.poke()
		}
	}
	if d, ok := s.inflight[identityOf(meta)]; ok {
		// Heartbeats got lost and the server gave up on us, but the handler still
		// runs: it goes on under the new delivery, and nobody starts a second one.
		d.reply, d.void = m.Reply, false
		return answerInProgress
	}
	if s.stopped || len(s.inflight) >= s.durable.maxInFlight() {
		return answerNak
	}
	d := newDelivery(s.base, m, meta)
	s.inflight[d.id] = d
	s.queue <- d
	return nil
}

// status takes the end of a pull request. Source: ADR-13 and nats-server's
// consumer.go; a status says how much of its request is unused, or that is all.
func (s *subscription) status(in *inbox, m *nats.Msg) {
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	if code == "100" { // idle heartbeat
		return
	}
	id, _ := strconv.ParseUint(strings.TrimPrefix(m.Subject, in.prefix), 10, 64)
	unused, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil {
		unused = -1
	}
	s.mu.Lock()
	in.credit.ended(id, unused)
	current := in == s.inbox && !s.stopped
	switch {
	case !current:
	case code == "503", code == "409" && strings.Contains(text, "Consumer Deleted"):
		s.resting = true
		for _, d := range s.inflight {
			d.void = true
		}
		s.conn.heal()
	case code == "408", code == "404", code == "409" && strings.Contains(text, "Leadership"):
	case code == "409" && strings.Contains(text, "Server Shutdown"):
		s.resting = true // until the connection is back; that it is lost, it says itself
	default:
		s.resting = true // until the next check
		s.conn.log.Warn("pull refused", "consumer", s.durable.Name(), "status", code, "description", text)
	}
	s.mu.Unlock()
	s.poke()
}

// poke makes pulling look for free slots.
func (s *subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pulling asks the server for as many messages as there are free handlers. It runs
// on its own so that handlers that finish together ask together.
func (s *subscription) pulling(done <-chan struct{}) {
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	for {
		select {
		case <-done:
			return
		case <-s.wake:
		case now := <-check.C:
			s.check(now)
		}
		s.pull()
	}
}

// check finds what got lost.
func (s *subscription) check(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resting = false
	if s.inbox != nil {
		s.inbox.credit.reclaim(now)
	}
}

func (s *subscription) pull() {
	s.mu.Lock()
	in := s.inbox
	if in == nil || s.resting || s.stopped {
		s.mu.Unlock()
		return
	}
	slots := s.durable.maxInFlight()
	free := slots - len(s.inflight) - in.credit.messages
	if free <= 0 || in.credit.messages > 0 && free < slots/pullShare {
		s.mu.Unlock()
		return
	}
	id := in.credit.ask(free, time.Now())
	s.mu.Unlock()

	request := pullRequest(free)
	err := s.conn.nc.PublishRequest(s.nextSubject(), in.prefix+strconv.FormatUint(id, 10), request)
	if err != nil { // disconnected: reconnected asks again, or the next check
		s.mu.Lock()
		in.credit.ended(id, -1)
		s.resting = true
		s.mu.Unlock()
	}
}

func (s *subscription) nextSubject() string {
	return "$JS.API.CONSUMER.MSG.NEXT." + StreamName + "." + s.durable.Name()
}

// pullRequest returns the body of a pull request. Source: ADR-13.
func pullRequest(batch int) []byte {
	b, _ := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"` // ns
	}{batch, pullExpires})
	return b
}

// resume pulls again after what was missing exists.
func (s *subscription) resume() {
	s.mu.Lock()
	s.resting = false
	s.mu.Unlock()
	s.poke()
}

// reconnected starts over with a new inbox.
func (s *subscription) reconnected() {
	s.reopen()
	s.resume()
}

// reopen replaces the inbox.
func (s *subscription) reopen() {
	in, err := s.open()
	if err != nil {
		if !errors.Is(err, nats.ErrConnectionClosed) {
			s.conn.log.Error("subscribe to inbox", "consumer", s.durable.Name(), "error", err)
		}
		return
	}
	s.mu.Lock()
	old := s.inbox
	if s.stopped {
		old = in
	} else {
		s.inbox = in
	}
	s.mu.Unlock()
	old.drain()
	s.poke()
}

func (s *subscription) open() (*inbox, error) {
	in := &inbox{prefix: s.conn.nc.NewInbox() + ".", closed: make(chan struct{})}
	var err error
	in.sub, err = s.conn.nc.Subscribe(in.prefix+"*", func(m *nats.Msg) { s.receive(in, m) })
	if err != nil {
		return nil, err
	}
	in.sub.SetClosedHandler(func(string) { close(in.closed) })
	return in, nil
}

// drain ends the inbox; what is on its way still arrives.
func (in *inbox) drain() {
	if in != nil {
		_ = in.sub.Drain() // fails only when the connection is closed, which ends it too
	}
}

// heartbeats tells the server every third of AckWait that what is in flight is
// being worked on.
func (s *subscription) heartbeats(done <-chan struct{}) {
	tick := time.NewTicker(s.durable.ackWait() / 3)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		for _, reply := range s.replies() {
			s.answer(reply, answerInProgress)
		}
	}
}

// replies returns where to answer for what is in flight.
func (s *subscription) replies() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	replies := make([]string, 0, len(s.inflight))
	for _, d := range s.inflight {
		if !d.void {
			replies = append(replies, d.reply)
		}
	}
	return replies
}
