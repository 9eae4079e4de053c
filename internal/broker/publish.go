package broker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxPendingPublishes is how many messages may wait for their acknowledgement:
	// at 10,000 a second, 0.4 s of a server that does not answer. The server queues
	// 100,000 per stream (nats-server, streamDefaultMaxQueueMsgs) before it refuses.
	maxPendingPublishes = 4096

	// stallTimeout is how long Publish blocks at most when that many wait.
	stallTimeout = time.Second

	// ackTimeout is how long an acknowledgement may take. The message may have been
	// stored all the same: publishing it again is a duplicate, and harmless.
	ackTimeout = 5 * time.Second
)

// stall is made once: an option per message would be an allocation per message.
var stall = jetstream.WithStallWait(stallTimeout)

// Publish sends a message and returns without waiting for it to be stored. done is
// called exactly once, from any goroutine, perhaps before Publish returns: with nil
// when JetStream has stored the message, or had stored one with the same msgID
// within two minutes; with an error when it has not, or when nobody knows. done
// must be quick and must not publish: acknowledgements wait for it.
//
// Publish blocks up to a second when 4,096 messages wait for acknowledgement.
// While disconnected it fails at once. A missing stream is created again in the
// background, and the message tried again for half a second meanwhile.
//
// header is sent along except for names that NATS itself reads (Nats-*).
func (c *Conn) Publish(subject, msgID string, payload []byte, header map[string]string, done func(error)) {
	m := &nats.Msg{Subject: subject, Data: payload, Header: outgoing(msgID, header)}
	if !c.acks.expect(m, done) {
		done(ErrClosed)
		return
	}
	if _, err := c.js.PublishMsgAsync(m, stall); err != nil {
		c.published(m, err)
	}
}

// published reports how a publish ended to whoever waits for it.
func (c *Conn) published(m *nats.Msg, err error) {
	if err != nil {
		switch {
		case errors.Is(err, jetstream.ErrAsyncPublishTimeout):
			c.healer.silent.Store(true)
			c.heal()
		case missing(err), errors.Is(err, nats.ErrNoResponders):
			c.heal()
		}
		err = fmt.Errorf("publish to %s: %w", m.Subject, err)
	}
	c.acks.settle(m, err)
}

// acks holds who waits for which message. The NATS client may report one message
// twice (a disconnect and a failed write at once); only the first report counts.
type acks struct {
	mu      sync.Mutex
	waiting map[*nats.Msg]func(error) // nil once closed
}

func (a *acks) expect(m *nats.Msg, done func(error)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		return false
	}
	a.waiting[m] = done
	return true
}

func (a *acks) settle(m *nats.Msg, err error) {
	a.mu.Lock()
	done, ok := a.waiting[m]
	delete(a.waiting, m)
	a.mu.Unlock()
	if ok {
		done(err)
	}
}

// fail ends all that wait, and all that will, with err.
func (a *acks) fail(err error) {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting = nil
	a.mu.Unlock()
	for _, done := range waiting {
		done(err)
	}
}
