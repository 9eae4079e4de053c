package handover

import (
	"context"
	"net/http"
	"net/url"

	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/internal/tracing"
)

// startTrace starts the span of a request, when the caller is traced, and tells the
// game's server by the header traceparent, so that it can continue the trace.
func (c *client) startTrace(ctx context.Context, r request, header http.Header) (context.Context, trace.Span) {
	if tracing.Tracer(ctx) == nil {
		return ctx, nil
	}
	address, err := url.Parse(c.url)
	if err != nil { // New has parsed it
		return ctx, nil
	}
	ctx, span := tracing.StartCall(ctx, http.MethodPost, string(r.Operation), address)
	span.SetAttributes(tracing.SpendID.String(r.SpendID))
	header.Set(tracing.Header, tracing.Traceparent(ctx))
	return ctx, span
}
