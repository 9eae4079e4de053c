package broker

import (
	"context"
	"errors"
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
		upTo, err := finishedUpTo(ctx, stream, info, state.LastSeq)
		if err != nil {
			return fmt.Errorf("trim: %w", err)
		}
		finished = min(finished, upTo)
	}
	if finished < state.FirstSeq || state.Msgs == 0 {
		return nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(finished+1)); err != nil && !missing(err) {
		return fmt.Errorf("trim: %w", err)
	}
	return nil
}

// finishedUpTo returns a sequence, at most last, up to which the durable has
// finished all. It asks the store for the next message and does not trust
// NumPending: that counts a message some time after its publish was acknowledged.
func finishedUpTo(ctx context.Context, stream jetstream.Stream, info *jetstream.ConsumerInfo, last uint64) (uint64, error) {
	if info.NumAckPending > 0 {
		return min(info.AckFloor.Stream, last), nil
	}
	for _, filter := range filtersOf(info.Config) {
		msg, err := stream.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(filter))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
		case err != nil:
			return 0, err
		default:
			last = min(last, msg.Sequence-1)
		}
	}
	return last, nil
}
