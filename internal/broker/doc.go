// Package broker carries events over NATS JetStream. It is the only room that
// knows NATS, and the only one that knows watermill's Publisher and Subscriber.
//
// What it guarantees:
//
//   - A publish is reported done only after JetStream has stored the message.
//   - A message is handed out at least once, to one running handler at a time of
//     this process, and never fetched before a handler is free for it.
//   - A handler of any length keeps its message: it is not handed out twice
//     because time passed.
//   - Whatever is deleted on the server, a durable or the whole stream, is
//     created again without an operator.
//
// What it does not guarantee: order, exactly once, and that a message JetStream
// acknowledged still exists later. PostgreSQL is the truth, see outbox.
//
// Sources of the protocol facts: nats-io/nats-architecture-and-design, ADR-13
// (pull consumers) and ADR-15 (acknowledgement subjects); nats-server 2.15.2,
// server/consumer.go.
package broker

import "errors"

// ErrClosed is what is asked of a Conn after Close, and what a publish gets that
// Close could not wait for.
var ErrClosed = errors.New("broker connection is closed")
