package broker

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluice-gems/sluice/events"
)

// StreamName is the one stream of Sluice. Notices are not in it.
const StreamName = "SLUICE"

const (
	// streamMaxAge is how long a message stays at most. What is still owed then is
	// published again from the outbox, so this only bounds the disk.
	streamMaxAge = 24 * time.Hour

	// streamMaxBytes is where publishing starts to fail (DiscardNew), about four
	// million events of 500 bytes. Trim keeps the stream to what is unfinished, so
	// only a backlog of that size gets here; it then waits in the outbox.
	streamMaxBytes = 2 << 30

	// streamDuplicates is how long a Nats-Msg-Id is remembered; the server's default.
	// It only spares work: the guards in PostgreSQL are what makes a repeat harmless.
	streamDuplicates = 2 * time.Minute

	// maxWaiting is how many pull requests may be open per durable. One subscriber
	// holds at most five, so this is for some 800 processes; the default of 512 is
	// for 100, and it cannot be changed later.
	maxWaiting = 4096

	// maxAckPending is how many messages of a durable may be unfinished at once.
	// Delayed naks count as unfinished, so the default of 1,000 would let one
	// provider's outage stop everybody behind it. Costs some 100 bytes each.
	maxAckPending = 65536

	// defaultAckWait is how long the server waits for a sign of life. Short, since
	// it is also how long a killed process's messages rest; heartbeats allow it.
	defaultAckWait = 15 * time.Second

	// defaultMaxInFlight is how many handlers of a durable run at once in a process.
	defaultMaxInFlight = 64
)

// streamConfig returns the stream as it should be. Limits retention keeps a
// message for consumers that come later; DiscardNew makes a full stream an error
// at the publisher, who keeps the outbox row, and never a silent loss.
func streamConfig(replicas int) jetstream.StreamConfig {
	subjects := make([]string, 0, len(events.Lanes))
	for _, lane := range events.Lanes {
		subjects = append(subjects, "sluice."+string(lane)+".>")
	}
	return jetstream.StreamConfig{
		Name:        StreamName,
		Description: "Sluice: transport of events; PostgreSQL is the truth, this may be deleted at any time",
		Subjects:    subjects,
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		MaxAge:      streamMaxAge,
		MaxBytes:    streamMaxBytes,
		Duplicates:  streamDuplicates,
		Replicas:    max(replicas, 1),
	}
}

// Durable is a consumer's place in the stream on one lane: which facts it gets
// and how far it is. Processes that subscribe to the same Durable share its work.
type Durable struct {
	Consumer    string        // the consumer's name, e.g. adjust
	Lane        events.Lane   // empty: live
	Types       []events.Type // the facts it gets; at least one
	AckWait     time.Duration // how long after the last heartbeat a message is handed out again; 0: 15 s
	MaxInFlight int           // handlers at once per process; 0: 64
}

// Name returns the durable's name on the server: the consumer's on the live lane,
// <consumer>_<lane> on others.
func (d Durable) Name() string {
	if d.lane() == events.Live {
		return d.Consumer
	}
	return d.Consumer + "_" + string(d.lane())
}

func (d Durable) lane() events.Lane {
	if d.Lane == "" {
		return events.Live
	}
	return d.Lane
}

func (d Durable) ackWait() time.Duration {
	if d.AckWait <= 0 {
		return defaultAckWait
	}
	return d.AckWait
}

func (d Durable) maxInFlight() int {
	if d.MaxInFlight <= 0 {
		return defaultMaxInFlight
	}
	return d.MaxInFlight
}

// config returns the durable as it should be on the server: it starts at the
// first message there is and never gives up on one.
func (d Durable) config(replicas int) jetstream.ConsumerConfig {
	filters := make([]string, 0, len(d.Types))
	for _, t := range d.Types {
		filters = append(filters, events.Filter(d.lane(), t))
	}
	return jetstream.ConsumerConfig{
		Durable:        d.Name(),
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        d.ackWait(),
		MaxDeliver:     -1,
		FilterSubjects: filters,
		MaxWaiting:     maxWaiting,
		MaxAckPending:  maxAckPending,
		Replicas:       max(replicas, 1),
		Metadata:       map[string]string{metaConsumer: d.Consumer, metaLane: string(d.lane())},
	}
}

// Metadata of a durable, so that its name need not be taken apart.
const (
	metaConsumer = "sluice.consumer"
	metaLane     = "sluice.lane"
)

// valid reports what the server would refuse or, worse, accept: without a type
// the filter would be empty, which means everything.
func (d Durable) valid() error {
	if d.Consumer == "" {
		return fmt.Errorf("durable of lane %s has no consumer", d.lane())
	}
	if len(d.Types) == 0 {
		return fmt.Errorf("durable %s has no event types", d.Name())
	}
	return nil
}
