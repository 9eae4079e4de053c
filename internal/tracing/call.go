package tracing

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

var portOf = map[string]string{"https": "443", "http": "80"}

// StartCall starts the span of an HTTP request to somebody else, below ctx's; nil
// when ctx is not traced. what names the call in place of its path, and the span has no
// url.full: both may hold a player's id or a key.
func StartCall(ctx context.Context, method, what string, address *url.URL) (context.Context, trace.Span) {
	tracer := Tracer(ctx)
	if tracer == nil {
		return ctx, nil
	}
	port, _ := strconv.Atoi(cmp.Or(address.Port(), portOf[address.Scheme]))
	return tracer.Start(ctx, method+" "+what, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method), semconv.ServerAddress(address.Hostname()), semconv.ServerPort(port)))
}

// EndCall ends the span of StartCall. status 0 says that there was no answer.
func EndCall(span trace.Span, status int) {
	if span == nil {
		return
	}
	switch {
	case status == 0:
		Fail(span, "no_answer")
	case status >= http.StatusBadRequest:
		Fail(span, strconv.Itoa(status))
	}
	if status != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	}
	span.End()
}
