package consumers

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/sluice-gems/sluice/events"
)

// Router feeds runners from their subscribers.
type Router struct {
	*message.Router
	drain    time.Duration
	inHand   atomic.Int64
	stopping atomic.Bool
	cut      atomic.Int64 // deliveries whose context ended before they did
}

// cutPatience is how long a delivery whose context was cancelled may take to end: its
// call is broken off, and what went wrong is written down.
const cutPatience = 5 * time.Second

// NewRouter returns a router that runs the runners, each with one subscriber per lane.
// drain is how long what is in hand may go on at a stop; the subscribers, which cancel
// it then, are given the same.
func NewRouter(log *slog.Logger, runners []*Runner, drain time.Duration, subscriber func(Spec, events.Lane) (message.Subscriber, string, error)) (*Router, error) {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: drain + cutPatience}, quietly(log))
	if err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	r := &Router{Router: router, drain: drain}
	for _, runner := range runners {
		spec := runner.Consumer.Spec()
		for _, lane := range spec.Lanes {
			sub, topic, err := subscriber(spec, lane)
			if err != nil {
				return nil, fmt.Errorf("subscribe %s on %s: %w", spec.Name, lane, err)
			}
			router.AddConsumerHandler(spec.Name+"/"+string(lane), topic, sub, r.counted(runner.Handle))
		}
	}
	return r, nil
}

// Run works until ctx ends: then the intake stops, and it returns once what is in hand
// has finished. A drain that took too long is an error: what was cut comes again, so
// no money is lost, but an answer may be that has to be asked for once more.
func (r *Router) Run(ctx context.Context) error {
	forget := context.AfterFunc(ctx, func() { r.stopping.Store(true) })
	defer forget()
	if err := r.Router.Run(ctx); err != nil {
		return err
	}
	if cut := r.cut.Load() + r.inHand.Load(); cut > 0 {
		return fmt.Errorf("the stop cut %d deliveries that had not finished after %s: they come again, and what they asked is asked again", cut, r.drain)
	}
	return nil
}

// InHand returns how many deliveries are worked on. Those that wait for somebody else
// before their runner is called are not among them.
func (r *Router) InHand() int64 { return r.inHand.Load() }

// counted counts what is in hand, and what a stop has cut.
func (r *Router) counted(handle message.NoPublishHandlerFunc) message.NoPublishHandlerFunc {
	return func(msg *message.Message) error {
		r.inHand.Add(1)
		defer r.inHand.Add(-1)
		err := handle(msg)
		if err != nil && msg.Context().Err() != nil && r.stopping.Load() {
			r.cut.Add(1)
		}
		return err
	}
}

// quietly has watermill log its own comings and goings as debug, and not repeat
// as an error what our line of a delivery has said.
func quietly(log *slog.Logger) watermill.LoggerAdapter {
	return quietLogger{watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})}
}

type quietLogger struct{ watermill.LoggerAdapter }

// Error implements watermill.LoggerAdapter.
func (l quietLogger) Error(msg string, err error, fields watermill.LogFields) {
	if msg == "Handler returned error" {
		l.Debug(msg, fields)
		return
	}
	l.LoggerAdapter.Error(msg, err, fields)
}

// With implements watermill.LoggerAdapter.
func (l quietLogger) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return quietLogger{l.LoggerAdapter.With(fields)}
}
