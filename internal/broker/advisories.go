package broker

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// Advisory is a sort of thing that JetStream tells of by itself.
type Advisory string

// The advisories that tell of something we never ask for. Nothing is lost by any of
// them: what was to be delivered is owed by the outbox.
const (
	AdvisoryMaxDeliveries   Advisory = "max_deliveries"   // a message was given up: somebody has set a limit of deliveries on a consumer
	AdvisoryTerminated      Advisory = "terminated"       // a message was ended by somebody else than us
	AdvisoryConsumerDeleted Advisory = "consumer_deleted" // a consumer is gone; it is made again when it is found missing
	AdvisoryStreamDeleted   Advisory = "stream_deleted"   // the stream is gone; the same
	AdvisoryQuorumLost      Advisory = "quorum_lost"      // of the stream or a consumer, in a cluster: nothing moves until servers are back
)

// Advisories lists them.
var Advisories = []Advisory{AdvisoryMaxDeliveries, AdvisoryTerminated, AdvisoryConsumerDeleted, AdvisoryStreamDeleted, AdvisoryQuorumLost}

// advisorySubjects are where the server publishes them. Source: JetStream API
// reference, Events and Advisories.
var advisorySubjects = map[string]Advisory{
	"CONSUMER.MAX_DELIVERIES": AdvisoryMaxDeliveries, "CONSUMER.MSG_TERMINATED": AdvisoryTerminated, "CONSUMER.DELETED": AdvisoryConsumerDeleted,
	"STREAM.DELETED": AdvisoryStreamDeleted, "CONSUMER.QUORUM_LOST": AdvisoryQuorumLost, "STREAM.QUORUM_LOST": AdvisoryQuorumLost,
}

// OnAdvisory calls do for every advisory about our stream and its consumers, in one of
// the processes that listen. do must be quick. Advisories are best effort. Errors: the
// Conn is closed.
func (c *Conn) OnAdvisory(do func(Advisory)) (stop func(), err error) {
	const prefix, group = "$JS.EVENT.ADVISORY.", "sluice-advisories"
	var subs []*nats.Subscription
	stop = func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe() // fails only when already ended
		}
	}
	for subject, kind := range advisorySubjects {
		of := prefix + subject + "." + StreamName
		if strings.HasPrefix(subject, "CONSUMER.") {
			of += ".>"
		}
		sub, err := c.nc.QueueSubscribe(of, group, func(*nats.Msg) { do(kind) })
		if err != nil {
			stop()
			return nil, fmt.Errorf("subscribe to advisories: %w", err)
		}
		subs = append(subs, sub)
	}
	return stop, nil
}
