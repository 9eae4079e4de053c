package outbox

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Message is a committed event ready for the broker.
type Message struct {
	Subject string
	ID      string // for the broker's window of duplicates
	Payload []byte
	// Traceparent is the trace context of its event; empty: none.
	Traceparent string
	// Accepted is when the spend was accepted whose first event it is; zero: it is another.
	Accepted time.Time
}

// Publisher publishes without waiting. done is called exactly once, with nil
// only after the broker has stored the message.
type Publisher interface {
	Publish(subject, id string, payload []byte, header map[string]string, done func(error))
}

// InFlightMaxDefault bounds the messages that are published and not yet stored
// by the broker, and so the relay's memory: about 2 MB of events. It stays below
// what the broker's connection takes before it blocks (4,096), with room for a
// sweeper's chunk: a broker that does not answer must not hold up commits.
const InFlightMaxDefault = 3072

// Relay hands committed events to the broker, straight from memory: nothing is
// read back on the good path. It keeps no promise. What it drops (too many in
// flight, broker away) stays owed in the outbox until the sweeper publishes it.
type Relay struct {
	// Tracer starts the spans of publishes; nil: there are none. Set before use.
	Tracer    trace.Tracer
	publisher Publisher
	max       int64
	inFlight  atomic.Int64
	metrics   *Metrics
}

// NewRelay returns a relay with at most maxInFlight messages in flight; 0 takes the default.
func NewRelay(publisher Publisher, maxInFlight int, metrics *Metrics) *Relay {
	if metrics == nil {
		metrics = NewMetrics(nil)
	}
	return &Relay{publisher: publisher, max: int64(orDefault(maxInFlight, InFlightMaxDefault)), metrics: metrics}
}

// Hand publishes m, or drops it when the relay is full. It never blocks longer
// than the publisher does.
func (r *Relay) Hand(m Message) {
	if r.inFlight.Add(1) > r.max {
		r.inFlight.Add(-1)
		r.metrics.overflow.Inc()
		return
	}
	span := startSend(context.Background(), r.Tracer, m.Subject, m.ID, m.Traceparent)
	r.publisher.Publish(m.Subject, m.ID, m.Payload, traceHeader(m.Traceparent), func(err error) {
		r.inFlight.Add(-1)
		r.metrics.published(m.Accepted, err)
		endSend(span, err)
	})
}

// InFlight returns how many messages the broker has not confirmed yet.
func (r *Relay) InFlight() int { return int(r.inFlight.Load()) }
