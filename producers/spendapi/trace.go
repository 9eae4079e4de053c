package spendapi

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/internal/tracing"
)

// watched are the paths of the machines that watch. They are asked every few
// seconds and are no story, so they are not traced.
var watched = map[string]bool{"/livez": true, "/readyz": true, "/metrics": true}

// traced begins the request's trace, or continues the client's, and returns the
// request inside it.
func (a *API) traced(x *exchange, r *http.Request) *http.Request {
	if a.tracer == nil || watched[r.URL.Path] {
		return r
	}
	// The route is not known yet, and a path may hold what a client should not have sent.
	ctx, span := a.tracer.Start(tracing.FromRequest(r.Context(), r.Header), methodOf(r), trace.WithSpanKind(trace.SpanKindServer))
	x.span = span
	return r.WithContext(ctx)
}

// endTrace ends the request's span with what became of it.
func (x *exchange) endTrace(r *http.Request, status int) {
	if x.span == nil {
		return
	}
	defer x.span.End()
	if !x.span.IsRecording() {
		return
	}
	x.span.SetAttributes(semconv.HTTPRequestMethodKey.String(methodOf(r)), semconv.HTTPResponseStatusCode(status), semconv.URLScheme("http"))
	if method, path, ok := strings.Cut(r.Pattern, " "); ok {
		x.span.SetName(method + " " + path)
		x.span.SetAttributes(semconv.HTTPRoute(path))
	}
	if x.outcome != "" {
		x.span.SetAttributes(tracing.Outcome.String(x.outcome))
	}
	if x.spendID != "" {
		x.span.SetAttributes(tracing.SpendID.String(x.spendID))
	}
	if status >= http.StatusInternalServerError {
		tracing.Fail(x.span, cmp.Or(x.outcome, strconv.Itoa(status)))
	}
}
