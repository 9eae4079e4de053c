package handover

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sluice-gems/sluice/internal/tracing"
)

// TestTheGamesServerCanContinueTheTrace: it is told the span of the request to it.
// Without a trace it is told nothing, and nothing is allocated for one.
func TestTheGamesServerCanContinueTheTrace(t *testing.T) {
	told := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get(tracing.Header)
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	endpoint, err := New(Config{Name: "game", URL: server.URL + "/items", Secrets: []string{"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}})
	require.NoError(t, err)
	t.Cleanup(endpoint.Close)
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	asked := request{Operation: OpGrant, SpendID: "s1", AppUserID: "canary-player"}

	ctx, parent := provider.Tracer("test").Start(t.Context(), "hand-over")
	require.Equal(t, http.StatusOK, endpoint.client.send(ctx, asked).status)
	parent.End()
	span := spans.Ended()[0]
	require.Equal(t, "POST grant", span.Name())
	require.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
	require.Equal(t, span.SpanContext().SpanID(), tracing.Parse(<-told).SpanID())
	for _, attribute := range span.Attributes() {
		require.NotContains(t, attribute.Value.String(), "canary")
	}

	endpoint.client.send(t.Context(), asked)
	require.Empty(t, <-told)
	ctx, header := t.Context(), http.Header{}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		_, span := endpoint.client.startTrace(ctx, asked, header)
		tracing.EndCall(span, http.StatusOK)
	}))
}
