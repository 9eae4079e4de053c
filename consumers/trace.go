package consumers

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/tracing"
)

// continued returns the delivery's context inside a span that continues the trace
// of the event. A delivery of an event without a trace has no span.
func (r *Runner) continued(msg *message.Message, spec Spec, event events.Event, attempt int) (context.Context, trace.Span) {
	ctx := msg.Context()
	if r.Tracer == nil || event.Traceparent == "" {
		return ctx, nil
	}
	subject := event.Subject()
	attributes := append(tracing.Message(subject, msg.UUID), semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
		semconv.MessagingConsumerGroupName(spec.Name), tracing.Attempt.Int(attempt))
	if id, err := event.SpendID(); err == nil {
		attributes = append(attributes, tracing.SpendID.String(id))
	}
	return r.Tracer.Start(tracing.Continue(ctx, event.Traceparent), "process "+tracing.Destination(subject),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributes...))
}

// endTrace ends the delivery's span with what became of it.
func endTrace(span trace.Span, outcome string, err error) {
	if span == nil {
		return
	}
	span.SetAttributes(tracing.Outcome.String(outcome))
	if err != nil {
		tracing.Fail(span, outcome)
	}
	span.End()
}
