package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header is the name of the W3C trace context in requests, messages and envelopes.
const Header = "traceparent"

// Scope names the instrumentation to OpenTelemetry.
const Scope = "github.com/sluice-gems/sluice"

// carrier is a traceparent by itself. A tracestate is never read: it is free text of
// whoever called us, and would be kept in every row and message.
type carrier string

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(name string) string {
	if name == Header {
		return string(c)
	}
	return ""
}

// Set implements propagation.TextMapCarrier; nothing is written to a carrier.
func (carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (carrier) Keys() []string { return []string{Header} }

// Continue returns ctx inside the span that a traceparent names, so that what is
// started next is its child. Without one, or with one that is malformed, it is ctx.
func Continue(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, carrier(traceparent))
}

// FromRequest returns ctx inside the span of the client, if its request names one.
func FromRequest(ctx context.Context, header http.Header) context.Context {
	if values := header["Traceparent"]; len(values) == 1 { // several would name several parents
		return Continue(ctx, values[0])
	}
	return ctx
}

// Traceparent names ctx's span for the next hop. It is empty when the span is not
// sampled: nobody would see what continues it.
func Traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	out := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, out)
	return out[Header]
}

// Parse returns the span that a traceparent names; it is not valid when there is none.
func Parse(traceparent string) trace.SpanContext {
	return trace.SpanContextFromContext(Continue(context.Background(), traceparent))
}

// Tracer returns what starts children of ctx's span; nil when that is not recorded.
func Tracer(ctx context.Context) trace.Tracer {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return nil
	}
	return span.TracerProvider().Tracer(Scope)
}
