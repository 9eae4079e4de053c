package broker

import (
	"errors"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// passedMetadata are the message metadata that a Publisher sends as headers: W3C
// trace context and watermill's correlation id.
var passedMetadata = []string{"traceparent", "tracestate", "correlation_id"}

// Publisher publishes watermill's messages: the topic is the subject, the UUID the
// Nats-Msg-Id.
type Publisher struct {
	conn   *Conn
	passed []string

	mu     sync.RWMutex
	closed bool
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher returns a Publisher on c. Of a message's metadata only traceparent,
// tracestate, correlation_id and the names given here are sent.
func NewPublisher(c *Conn, metadata ...string) *Publisher {
	return &Publisher{conn: c, passed: slices.Concat(passedMetadata, metadata)}
}

// Publish publishes all messages at once and returns when each is stored or
// failed; the errors of those that failed are joined. It takes at most ackTimeout
// and stallTimeout together, and ends no sooner for a message's context: a message
// that is on its way cannot be called back.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	results := make(chan error, len(messages))
	for _, msg := range messages {
		p.conn.Publish(topic, msg.UUID, msg.Payload, p.header(msg.Metadata), func(err error) { results <- err })
	}
	var errs []error
	for range messages {
		if err := <-results; err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (p *Publisher) header(metadata message.Metadata) map[string]string {
	header := make(map[string]string, len(p.passed))
	for _, name := range p.passed {
		if value, ok := metadata[name]; ok {
			header[name] = value
		}
	}
	return header
}

// Close waits for Publish calls that run and refuses later ones. The Conn stays
// open: it belongs to whoever connected it. A second call does nothing.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}
