package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// SubscriberConfig tunes a Subscriber. The zero value is usable.
type SubscriberConfig struct {
	// DrainTimeout is how long handlers may go on after the subscription ends,
	// before their contexts are cancelled; 0: 20 s. It should be longer than one
	// call to the provider, so that a shutdown leaves no outcome unknown.
	DrainTimeout time.Duration
}

// Subscriber hands out a Durable's messages to watermill.
//
// At most MaxInFlight messages are fetched and not yet acked or nacked, so a
// message never waits in this process for a handler. While it is handled the
// server is told so every third of AckWait. Ack and Nack are sent without waiting
// for the server: one that is lost brings the message again.
type Subscriber struct {
	conn    *Conn
	durable Durable
	drain   time.Duration

	mu     sync.Mutex
	subs   []*subscription
	closed bool
}

var _ message.Subscriber = (*Subscriber)(nil)

// NewSubscriber returns a Subscriber of d on c. The durable need not exist yet: it
// is remembered as by Reconcile and created when it is found missing.
func NewSubscriber(c *Conn, d Durable, cfg SubscriberConfig) (*Subscriber, error) {
	if err := d.valid(); err != nil {
		return nil, err
	}
	c.remember(d)
	if cfg.DrainTimeout <= 0 {
		cfg.DrainTimeout = defaultDrain
	}
	return &Subscriber{conn: c, durable: d, drain: cfg.DrainTimeout}, nil
}

// Subscribe starts handing out messages; topic must be the durable's Name. A
// second call adds handlers: each has MaxInFlight of its own.
//
// Messages carry ctx's values but not its end: when ctx ends nothing more is
// fetched, what no handler took is nacked, the channel is closed, and handlers
// that run go on, until DrainTimeout cancels their contexts. What is not acked or
// nacked a second later comes again after AckWait.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if topic != s.durable.Name() {
		return nil, fmt.Errorf("subscribe to %q: this subscriber is of durable %q", topic, s.durable.Name())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	sub, err := s.conn.subscribe(ctx, s.durable, s.drain)
	if err != nil {
		return nil, err
	}
	s.subs = append(s.subs, sub)
	return sub.out, nil
}

// Close ends all subscriptions as the end of their ctx would, and returns when
// their handlers have finished or were given up. The Conn stays open. A second
// call waits for the same.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	subs := s.subs
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, sub := range subs {
		wg.Go(sub.end)
	}
	wg.Wait()
	return nil
}
