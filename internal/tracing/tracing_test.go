package tracing_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/internal/tracing"
)

const (
	sampled   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

func TestATraceIsCarriedAsItCame(t *testing.T) {
	t.Parallel()
	ctx := tracing.Continue(t.Context(), sampled)
	require.Equal(t, sampled, tracing.Traceparent(ctx))
	require.True(t, trace.SpanContextFromContext(ctx).IsRemote())
	require.Nil(t, tracing.Tracer(ctx), "another's span is not recorded here")
}

// TestWhatIsNotSampledIsNotCarried: rows and messages are no longer for it.
func TestWhatIsNotSampledIsNotCarried(t *testing.T) {
	t.Parallel()
	require.Empty(t, tracing.Traceparent(tracing.Continue(t.Context(), unsampled)))
	require.Empty(t, tracing.Traceparent(t.Context()))
}

func TestAMalformedTraceparentIsNone(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "x", sampled[:54], sampled + "-x", "ff" + sampled[2:], "00-00000000000000000000000000000000-00f067aa0ba902b7-01"} {
		require.Equal(t, t.Context(), tracing.Continue(t.Context(), bad), bad)
		require.False(t, tracing.Parse(bad).IsValid(), bad)
	}
}

// TestOnlyOneTraceparentOfARequestCounts: and a client's tracestate, which is free
// text, is never kept.
func TestOnlyOneTraceparentOfARequestCounts(t *testing.T) {
	t.Parallel()
	header := http.Header{"Traceparent": {sampled}, "Tracestate": {"a=b"}}
	span := trace.SpanContextFromContext(tracing.FromRequest(t.Context(), header))
	require.True(t, span.IsValid())
	require.Zero(t, span.TraceState().Len())
	header.Add("Traceparent", unsampled)
	require.Equal(t, t.Context(), tracing.FromRequest(t.Context(), header))
}

func TestChildrenAreStartedByTheSpansOwnProvider(t *testing.T) {
	t.Parallel()
	provider := sdktrace.NewTracerProvider()
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	ctx, parent := provider.Tracer("x").Start(tracing.Continue(t.Context(), sampled), "parent")
	_, child := tracing.Tracer(ctx).Start(ctx, "child")
	require.Equal(t, parent.SpanContext().TraceID(), child.SpanContext().TraceID())
	parent.End()
	require.Nil(t, tracing.Tracer(ctx), "what has ended has no more children")
}

func TestMessagesAreNamedWithoutTheirPartition(t *testing.T) {
	t.Parallel()
	require.Equal(t, "sluice.live.spend.charged.v1.*", tracing.Destination("sluice.live.spend.charged.v1.07"))
	values := map[string]string{}
	for _, pair := range tracing.Message("sluice.live.spend.charged.v1.07", "m1") {
		values[string(pair.Key)] = pair.Value.AsString()
	}
	require.Equal(t, map[string]string{
		"messaging.system": "nats", "messaging.destination.name": "sluice.live.spend.charged.v1.07",
		"messaging.destination.template": "sluice.live.spend.charged.v1.*", "messaging.destination.partition.id": "07", "messaging.message.id": "m1",
	}, values)
}

// TestWithoutATraceAStepCostsALook: nothing is allocated.
func TestWithoutATraceAStepCostsALook(t *testing.T) {
	type key struct{}
	ctx, header := context.WithValue(t.Context(), key{}, "x"), http.Header{"Accept": {"*/*"}}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if tracing.Tracer(ctx) != nil || tracing.Traceparent(ctx) != "" || tracing.Continue(ctx, "") != ctx || tracing.FromRequest(ctx, header) != ctx {
			panic("there is a trace")
		}
	}))
}
