package simulator

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// sendersMax is how many attempts run at once.
	sendersMax = 32
	// eventsMax is how many events are kept to look at and to send again.
	eventsMax = 20_000
	// holdBack is how long a reordered event waits for one that follows it.
	holdBack = 5 * time.Second
)

// sender delivers events to the receiver of webhooks. Each event has a goroutine
// until it is delivered or given up. It has its own lock, below the simulator's.
type sender struct {
	config Webhooks
	client *http.Client
	now    func() time.Time
	log    *slog.Logger
	slots  chan struct{}

	mu      sync.Mutex // guards all below
	closed  bool
	run     *deliveries
	faults  WebhookFaults
	dice    *rand.Rand
	events  []*Sent         // oldest first
	held    []chan struct{} // of reordered events: closed when the next one has been sent
	pending int
	idle    chan struct{} // closed while nothing is pending
	stats   WebhookStats
}

// deliveries are those that end together: at a reset, or with the sender.
type deliveries struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newDeliveries() *deliveries {
	d := &deliveries{}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// end cuts them short and returns when they have ended. No more may be added.
func (d *deliveries) end() {
	d.cancel()
	d.running.Wait()
}

func newSender(config Webhooks, now func() time.Time, seed uint64, log *slog.Logger) *sender {
	s := &sender{
		config: config, client: newWebhookClient(config.HTTP), now: now, log: log, slots: make(chan struct{}, sendersMax),
		dice: rand.New(rand.NewPCG(seed, 1)), idle: make(chan struct{}), run: newDeliveries(),
	}
	close(s.idle)
	return s
}

// plan is what the faults make of one event.
type plan struct {
	lost, twice, behind bool
	delay               time.Duration

	wait chan struct{}   // of one that is behind: it is sent when this is closed
	free []chan struct{} // to close when this one has been sent
}

// enqueue begins to send events.
func (s *sender) enqueue(events []event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		sent := &Sent{ID: e.ID, Type: e.Type, At: e.At, State: SentPending, Body: e.Body}
		s.keep(sent)
		p := s.faults.plan(s.dice)
		if p.lost || s.closed || s.config.URL == "" {
			sent.State = SentLost
			s.stats.Lost++
			continue
		}
		if s.pending++; s.pending == 1 {
			s.idle = make(chan struct{})
		}
		if p.behind {
			p.wait = make(chan struct{})
			s.held = append(s.held, p.wait)
		} else {
			p.free, s.held = s.held, nil
		}
		run := s.run
		run.running.Go(func() { s.deliver(run.ctx, sent, p) })
	}
}

// keep adds an event to those to look at. The caller holds mu.
func (s *sender) keep(sent *Sent) {
	if s.events = append(s.events, sent); len(s.events) > eventsMax {
		s.events = slices.Delete(s.events, 0, len(s.events)-eventsMax)
	}
	s.stats.Events++
}

// deliver sends an event until it is taken, or given up, or the sender stops.
func (s *sender) deliver(ctx context.Context, sent *Sent, p plan) {
	state := SentDropped
	if p.wait != nil {
		hold, stop := context.WithTimeout(ctx, holdBack)
		select {
		case <-p.wait:
		case <-hold.Done():
		}
		stop()
	}
	wait := p.delay
	for attempt := 1; attempt <= attemptsMax; attempt++ {
		pause(ctx, wait)
		if ctx.Err() != nil {
			state = SentLost
			break
		}
		if s.attempt(ctx, sent) == http.StatusOK {
			state = SentDelivered
			break
		}
		wait = s.config.wait(attempt)
	}
	if p.twice && state == SentDelivered {
		s.attempt(ctx, sent)
	}
	for _, behind := range p.free {
		close(behind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sent.State == SentPending {
		s.settle(sent, state)
	}
	if s.pending--; s.pending == 0 {
		close(s.idle)
	}
}

// settle notes how an event ended. The caller holds mu.
func (s *sender) settle(sent *Sent, state SentState) {
	sent.State = state
	switch state {
	case SentDelivered:
		s.stats.Delivered++
	case SentLost:
		s.stats.Lost++
	case SentDropped, SentPending:
		s.stats.Dropped++
	}
}

// attempt posts the event once and returns the answer's status; 0: none.
func (s *sender) attempt(ctx context.Context, sent *Sent) int {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return 0
	}
	status, err := s.config.post(ctx, s.client, sent.Body, s.now())
	s.mu.Lock()
	defer s.mu.Unlock()
	sent.Attempts++
	sent.Status = status
	s.stats.Attempts++
	if status != http.StatusOK {
		s.log.WarnContext(ctx, "webhook not taken", "event_type", sent.Type, "event_id", sent.ID, "attempt", sent.Attempts, "status", status, "answered", err == nil)
	}
	return status
}

// reset forgets all events and ends what is under way.
func (s *sender) reset() {
	s.mu.Lock()
	before := s.run
	s.run = newDeliveries()
	s.mu.Unlock()
	before.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.held, s.stats, s.faults = nil, nil, WebhookStats{}, WebhookFaults{}
}

func (s *sender) close() {
	s.mu.Lock()
	s.closed = true
	run := s.run
	s.mu.Unlock()
	run.end()
	s.client.CloseIdleConnections()
}
