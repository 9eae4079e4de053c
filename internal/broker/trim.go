package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Trim removes from the stream what every durable on the server has finished, so
// that its size is the backlog's and not the last day's. Nothing unfinished is
// removed, whatever is published or acked meanwhile. Without durables nothing is
// removed. Meant for one process, every few seconds; more do no harm.
func (c *Conn) Trim(ctx context.Context) error {
	stream, err := c.js.Stream(ctx, StreamName) // its last sequence, read before the durables' state
	if missing(err) {
		c.heal()
		return nil
	}
	if err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	state := stream.CachedInfo().State
	infos, err := c.consumers(ctx)
	if err != nil || len(infos) == 0 {
		return err
	}
	finished := state.LastSeq
	for _, info := range infos {
		finished = min(finished, finishedUpTo(info, state.LastSeq))
	}
	if finished < state.FirstSeq || state.Msgs == 0 {
		return nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(finished+1)); err != nil && !missing(err) {
		return fmt.Errorf("trim: %w", err)
	}
	return nil
}

// finishedUpTo returns a sequence up to which the durable has finished all. last
// is a sequence that the stream had reached before the durable's state was read:
// what has nothing pending has finished that.
func finishedUpTo(info *jetstream.ConsumerInfo, last uint64) uint64 {
	switch {
	case info.NumAckPending > 0:
		return info.AckFloor.Stream
	case info.NumPending > 0:
		return info.Delivered.Stream
	default:
		return last
	}
}
