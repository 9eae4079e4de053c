package broker

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Handmade returns a message as a Subscriber hands it out for the n-th time, and a
// function that tells the wait which NakAfter has set on it. It lets a simulation
// drive a handler without a broker. The message's context is ctx's child and is
// not ended by an answer.
func Handmade(ctx context.Context, id string, payload []byte, header map[string]string, n int) (*message.Message, func() time.Duration) {
	d := &delivery{deliveries: n}
	msg := message.NewMessageWithContext(context.WithValue(ctx, deliveryKey{}, d), id, payload)
	for key, value := range header {
		msg.Metadata.Set(key, value)
	}
	return msg, func() time.Duration { return time.Duration(d.nakDelay.Load()) }
}
