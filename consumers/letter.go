package consumers

import (
	"context"
	"errors"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/outbox"
)

// describe adds to a dead letter what an operator wants to see of it.
func describe(letter *outbox.DeadLetter, msg *message.Message, event events.Event, cause error) {
	letter.Type, letter.AppUserID, letter.Error = events.Type(plain(string(event.Type))), plain(event.AppUserID), plain(letter.Error)
	letter.Headers = make(map[string]string, len(msg.Metadata))
	for name, value := range msg.Metadata {
		letter.Headers[plain(name)] = plain(value)
	}
	var panicked *panicError
	var data *outbox.DataError
	switch {
	case errors.As(cause, &panicked):
		letter.Reason, letter.Stack = "panic", panicked.stack
	case errors.As(cause, &data):
		letter.Reason = "data"
	case event.ID == "", errors.Is(cause, events.ErrMalformed):
		letter.Reason = "malformed"
	default:
		letter.Reason = "permanent"
	}
}

// plain returns text as PostgreSQL takes it. What is set aside may hold anything; its
// payload is kept byte for byte.
func plain(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// writeDown keeps a failed attempt of those that count towards setting a delivery
// aside: mistakes of ours, and rare. What fails otherwise is written down when it
// parks. It is best effort: the letter itself counts the attempts.
func (r *Runner) writeDown(ctx context.Context, delivery outbox.Delivery, attempt int, cause error) {
	var panicked *panicError
	var data *outbox.DataError
	if !errors.As(cause, &panicked) && !errors.As(cause, &data) {
		return
	}
	_, err := r.Committer.Commit(ctx, outbox.Effects{Guard: outbox.Failed{Delivery: delivery, Attempt: attempt, Error: plain(cause.Error())}})
	if err != nil {
		r.Log.WarnContext(ctx, "attempt not written down", "consumer", delivery.Consumer, "event_id", delivery.EventID, "error", err)
	}
}
