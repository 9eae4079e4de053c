package revenuecat

import (
	"context"
	"net/http"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/internal/tracing"
)

// templates are the paths of the calls below the base, without whom they are about.
var templates = map[Op]string{
	OpAdjust:         "/projects/{project_id}/customers/{customer_id}/virtual_currencies/transactions",
	OpCreateCustomer: "/projects/{project_id}/customers",
	OpBalances:       "/projects/{project_id}/customers/{customer_id}/virtual_currencies",
}

// startTrace starts the span of a call, when the caller is traced. RevenueCat is told
// nothing of the trace.
func startTrace(ctx context.Context, op Op, r *http.Request) trace.Span {
	_, span := tracing.StartCall(ctx, r.Method, templates[op], r.URL)
	if span != nil {
		span.SetAttributes(semconv.URLTemplate(templates[op]))
	}
	return span
}
