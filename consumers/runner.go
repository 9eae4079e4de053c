package consumers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/outbox"
)

// staleTriesMax is how often an event is decided anew because the row moved on
// meanwhile. Each time somebody else made progress, so twice is rare.
const staleTriesMax = 3

// Committer commits effects; outbox.Committer does.
type Committer interface {
	Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error)
}

// Runner feeds one consumer: it decodes a delivery, lets the consumer work,
// commits what it wants changed with the end of the delivery, and settles the
// message. One log line per delivery; of those that went well at once, which is
// nearly all, only at level debug: the spend's story tells them too.
type Runner struct {
	Consumer  Consumer
	Committer Committer
	Log       *slog.Logger
	Metrics   *Metrics
	Jitter    func() float64 // 0 to 1, spreads the waits; nil: random
	Tracer    trace.Tracer   // continues the traces of events; nil: it does not
}

// panicError is a panic of a consumer, kept as an error.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// errStale says that the row kept moving while we decided.
var errStale = errors.New("the row keeps moving")

// Handle is the watermill handler. It returns an error only to have the message
// delivered again, after the wait it has set.
func (r *Runner) Handle(msg *message.Message) error {
	growStack()
	started := time.Now()
	spec, attempt := r.Consumer.Spec(), attempts(msg)
	event, err := events.Decode(msg.Payload)
	ctx, span := r.continued(msg, spec, event, attempt)
	outcome := ""
	if err == nil {
		outcome, err = r.deliver(ctx, spec, event)
	}
	var nak error
	if err != nil {
		outcome, nak = r.fail(ctx, msg, spec, event, attempt, err)
	}
	took := time.Since(started)
	r.Metrics.delivered(spec.Name, outcome, took)
	r.log(ctx, event, attempt, outcome, took, err)
	endTrace(span, outcome, err)
	return nak
}

// log writes the line of a delivery.
func (r *Runner) log(ctx context.Context, event events.Event, attempt int, outcome string, took time.Duration, err error) {
	level := slog.LevelDebug
	switch {
	case err != nil && !expected(err):
		level = slog.LevelWarn
	case err != nil || attempt > 1:
		level = slog.LevelInfo
	}
	if !r.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("consumer", r.Consumer.Spec().Name), slog.String("event_id", event.ID), slog.String("event_type", string(event.Type)),
		slog.Int("attempt", attempt), slog.String("outcome", outcome), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	r.Log.LogAttrs(ctx, level, "delivery", attrs...)
}

// growStack gives the goroutine, which watermill starts anew for each message, a stack
// of 16 KiB, while there is next to nothing on it to copy: grown step by step on the
// way down it cost 4 % of the CPU of a spend. Larger ones are not kept by the runtime
// for the next goroutine, and cost as much.
//
//go:noinline
func growStack() {
	var frame [7 << 10]byte
	runtime.KeepAlive(&frame)
}

// deliver consumes the event and commits its effects until they are not stale.
func (r *Runner) deliver(ctx context.Context, spec Spec, event events.Event) (string, error) {
	delivery := outbox.Delivery{EventID: event.ID, Consumer: spec.Name}
	for try := range staleTriesMax {
		deciding := ctx
		if try > 0 {
			deciding = DecidingAgain(ctx)
		}
		effects, err := r.consume(deciding, event)
		if err != nil {
			return "", err
		}
		if effects.Guard == nil {
			return "done", nil
		}
		_, finishing := effects.Guard.(outbox.Finish)
		if !finishing {
			effects.Done = append(effects.Done, delivery)
		}
		switch result, err := r.Committer.Commit(ctx, effects); {
		case err != nil:
			return "", fmt.Errorf("commit effects of %s: %w", event.ID, err)
		case result == outbox.Applied:
			return "applied", nil
		case result == outbox.Duplicate && finishing:
			return "duplicate", nil
		case result == outbox.Duplicate:
			return "duplicate", r.finish(ctx, delivery)
		}
	}
	return "", fmt.Errorf("event %s: %w", event.ID, errStale)
}

// finish ends a delivery whose effect exists already.
func (r *Runner) finish(ctx context.Context, delivery outbox.Delivery) error {
	_, err := r.Committer.Commit(ctx, outbox.Effects{Guard: outbox.Finish(delivery)})
	return err
}

func (r *Runner) consume(ctx context.Context, event events.Event) (effects outbox.Effects, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: string(debug.Stack())}
		}
	}()
	return r.Consumer.Consume(ctx, event)
}

// fail decides what happens to a failed delivery and makes it so. The error it
// returns has the broker deliver the message again.
func (r *Runner) fail(ctx context.Context, msg *message.Message, spec Spec, event events.Event, attempt int, cause error) (string, error) {
	jitter := r.Jitter
	if jitter == nil {
		jitter = rand.Float64
	}
	decided := Decide(spec, attempt, cause, jitter())
	delivery := outbox.Delivery{EventID: event.ID, Consumer: spec.Name}
	switch {
	case decided.Dead:
		return r.settle(ctx, msg, cause, decided, "dead_letter", deadLetter(msg, delivery, event, attempt, cause))
	case decided.Park:
		return r.settle(ctx, msg, cause, decided, "parked", outbox.Park{Delivery: delivery, Wait: decided.After, Attempts: tried(msg, attempt, cause), Error: cause.Error()})
	default:
		r.writeDown(ctx, delivery, attempt, cause)
		broker.NakAfter(msg, decided.After)
		return "retry", cause
	}
}

// settle commits what becomes of a failed delivery instead of another attempt. A
// delivery whose row is gone cannot park; it comes again through the broker,
// because somebody may rely on this consumer's next try.
func (r *Runner) settle(ctx context.Context, msg *message.Message, cause error, decided Disposition, outcome string, guard outbox.GuardRow) (string, error) {
	switch result, err := r.Committer.Commit(ctx, outbox.Effects{Guard: guard}); {
	case err != nil:
		broker.NakAfter(msg, parkAbove)
		return "retry", errors.Join(cause, err)
	case result == outbox.Stale:
		broker.NakAfter(msg, decided.After)
		return "retry", cause
	}
	return outcome, nil
}

func deadLetter(msg *message.Message, delivery outbox.Delivery, event events.Event, attempt int, cause error) outbox.DeadLetter {
	letter := outbox.DeadLetter{
		Delivery: delivery, Lane: event.Lane, Payload: msg.Payload, Attempts: attempt, Error: cause.Error(),
	}
	if event.ID == "" { // not even an event: whoever published it names it
		letter.Delivery.EventID = cmp.Or(msg.Metadata.Get(outbox.HeaderEventID), msg.UUID)
	} else {
		letter.Subject = event.Subject()
	}
	describe(&letter, msg, event, cause)
	return letter
}

// attempts counts this delivery's attempts: the broker's count since the last
// publish, and those before, which the outbox kept.
func attempts(msg *message.Message) int {
	before, err := strconv.Atoi(msg.Metadata.Get(outbox.HeaderAttempts))
	if err != nil {
		before = 0
	}
	return before + deliveries(msg)
}

// tried is what is kept of the count of attempts while a delivery is parked. One that
// was only told to come back later tried nothing, nor in most of those since it was
// published: what waits its turn for long must not count as failing for long.
func tried(msg *message.Message, attempt int, cause error) int {
	var told interface{ NotTried() bool }
	if errors.As(cause, &told) && told.NotTried() {
		return attempt - deliveries(msg)
	}
	return attempt
}

// deliveries counts this delivery's attempts since the message was last published.
func deliveries(msg *message.Message) int { return max(1, broker.Deliveries(msg)) }
