package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// probeSubject is in the stream and in no durable's filter.
	probeSubject = "sluice.live.probe"

	// A stream is frozen when it leaves this many probes in a row without an answer,
	// each for so long, while the server answers other questions about it.
	frozenProbes  = 3
	frozenTimeout = 3 * time.Second
)

// thaw deletes the stream if it is frozen, so that it is created again.
//
// After a failed write nats-server takes no message into the stream any more, and
// does not say so: publishes get no answer until the server restarts. Seen when the
// files are deleted under a running server, and when a stream is created while one
// of its name is being deleted. What the stream held is owed by the outbox, so
// deleting it costs a repeat and saves an operator. With several replicas nothing
// is deleted: there the server moves the work to another one.
//
// Source: nats-server 2.15.2, stream.go, processJetStreamMsg and setWriteErr.
func (c *Conn) thaw(ctx context.Context) error {
	if c.replicas > 1 {
		return nil
	}
	before, err := c.streamInfo(ctx)
	if err != nil || before == nil {
		return err
	}
	for range frozenProbes {
		if c.probe(ctx) {
			return nil
		}
	}
	after, err := c.streamInfo(ctx)
	if err != nil || after == nil {
		return err
	}
	if !after.Created.Equal(before.Created) || after.State.LastSeq != before.State.LastSeq {
		return nil // somebody created it again meanwhile, or it moves
	}
	c.log.ErrorContext(ctx, "stream takes no messages, deleting it to create it again", "stream", StreamName, "messages", after.State.Msgs)
	if err := c.js.DeleteStream(ctx, StreamName); err != nil && !missing(err) {
		return fmt.Errorf("delete frozen stream %s: %w", StreamName, err)
	}
	pause(ctx, healSettle)
	return nil
}

// probe reports whether the stream answers a publish, be it with an error, or
// cannot be asked.
func (c *Conn) probe(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, frozenTimeout)
	defer cancel()
	_, err := c.js.Publish(ctx, probeSubject, nil, jetstream.WithRetryAttempts(0))
	return !errors.Is(err, context.DeadlineExceeded)
}

// streamInfo returns the stream's state, or nil when it does not exist.
func (c *Conn) streamInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	stream, err := c.js.Stream(ctx, StreamName)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", StreamName, err)
	}
	return stream.CachedInfo(), nil
}
