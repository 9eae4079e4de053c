package broker

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// What may be answered to a message. Source: ADR-15.
var (
	answerAck        = []byte("+ACK")
	answerNak        = []byte("-NAK")
	answerInProgress = []byte("+WPI")
)

// identity tells messages apart, also those of a stream that was deleted and
// created again, where sequences start over.
type identity struct {
	sequence uint64
	stored   int64 // ns since 1970, by the server's clock
}

// delivery is one message while this process is responsible for it.
type delivery struct {
	id         identity
	deliveries int
	nakDelay   atomic.Int64 // ns

	// Guarded by the subscription's lock.
	reply string // where to answer; that of the latest delivery
	void  bool   // the durable it came from is gone: an answer could hit another message

	msg    *message.Message
	cancel context.CancelFunc // of the message's context
}

type deliveryKey struct{}

// newDelivery wraps a message of JetStream. Its context has the values of base and
// ends when the message is acked or nacked, or when base does.
func newDelivery(base context.Context, m *nats.Msg, meta *nats.MsgMetadata) *delivery {
	d := &delivery{id: identityOf(meta), deliveries: int(meta.NumDelivered), reply: m.Reply}
	id, metadata := incoming(m.Header)
	if id == "" {
		id = strconv.FormatUint(d.id.sequence, 10)
	}
	ctx, cancel := context.WithCancel(context.WithValue(base, deliveryKey{}, d))
	d.cancel = cancel
	d.msg = message.NewMessageWithContext(ctx, id, m.Data)
	d.msg.Metadata = metadata
	return d
}

func identityOf(meta *nats.MsgMetadata) identity {
	return identity{sequence: meta.Sequence.Stream, stored: meta.Timestamp.UnixNano()}
}

// nak returns the negative answer with the delay that NakAfter set.
func (d *delivery) nak() []byte {
	delay := d.nakDelay.Load()
	if delay <= 0 {
		return answerNak
	}
	return fmt.Appendf(nil, `-NAK {"delay": %d}`, delay)
}

func deliveryOf(msg *message.Message) (*delivery, bool) {
	d, ok := msg.Context().Value(deliveryKey{}).(*delivery)
	return d, ok
}

// NakAfter makes the message come again no sooner than wait after it is nacked,
// instead of at once. It nacks nothing itself; the last call before the nack wins.
// A message that is not from a Subscriber of this package is left alone.
func NakAfter(msg *message.Message, wait time.Duration) {
	if d, ok := deliveryOf(msg); ok {
		d.nakDelay.Store(int64(wait))
	}
}

// Deliveries returns how often the server has handed out the message, this time
// included: 1 is the first. A republished message starts over. 0: not from a
// Subscriber of this package.
func Deliveries(msg *message.Message) int {
	if d, ok := deliveryOf(msg); ok {
		return d.deliveries
	}
	return 0
}
