package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Watch calls do with every message that is published on a subject while it
// watches, a notice or an event alike, one at a time; do must be quick and keep
// nothing of the message. It takes nothing away from any consumer and leaves
// nothing on the server. A message may be missed: it is for looking on.
func (c *Conn) Watch(subject string, do func(data []byte)) (stop func(), err error) {
	sub, err := c.nc.Subscribe(subject, func(m *nats.Msg) { do(m.Data) })
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", subject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only when already ended
}

// StreamSize returns how many messages the stream holds, and their bytes; nothing
// when there is no stream.
func (c *Conn) StreamSize(ctx context.Context) (messages, bytes uint64, err error) {
	stream, err := c.js.Stream(ctx, StreamName)
	if missing(err) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("size of the stream: %w", err)
	}
	state := stream.CachedInfo().State
	return state.Msgs, state.Bytes, nil
}
