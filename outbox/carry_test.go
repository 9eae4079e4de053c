package outbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/internal/tracing"
	"github.com/sluice-gems/sluice/outbox"
)

// recorded returns a tracer and what it has recorded.
func recorded(t *testing.T) (trace.Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	return provider.Tracer(tracing.Scope), spans
}

// TestAMessageContinuesTheTraceOfItsCommit: the relay's message, the row, and what
// the sweeper publishes after the message was lost, all name the span of the commit
// that made the event.
func TestAMessageContinuesTheTraceOfItsCommit(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	tracer, spans := recorded(t)
	relay := outbox.NewRelay(s.conn, 0, nil)
	relay.Tracer = tracer
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = relay })
	ctx, request := tracer.Start(t.Context(), "request")
	spend := newSpend("p", "k")
	result, err := c.Commit(ctx, accept(spend))
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
	request.End()
	first := s.next(t)
	// Lost: as if the broker had forgotten it.
	require.NoError(t, first.Ack())
	require.Eventually(t, func() bool {
		_, unfinished, err := s.conn.OldestUnfinished(t.Context(), "adjust", events.Live)
		return err == nil && !unfinished
	}, 10*time.Second, 5*time.Millisecond)
	age(t, db, time.Minute)
	again := sweeper(db, s)
	again.Tracer = tracer
	require.NoError(t, again.Sweep(t.Context()))

	commit := named(t, spans, "COMMIT spend_accept", 1)[0]
	require.Equal(t, request.SpanContext().SpanID(), commit.Parent().SpanID())
	for _, msg := range []jetstream.Msg{first, s.next(t)} {
		traceparent := msg.Headers().Get("traceparent")
		require.Equal(t, commit.SpanContext().SpanID(), tracing.Parse(traceparent).SpanID())
		event, err := events.Decode(msg.Data())
		require.NoError(t, err)
		require.Equal(t, traceparent, event.Traceparent)
	}
	for _, publish := range named(t, spans, "publish sluice.live.spend.requested.v1.*", 2) {
		require.Equal(t, commit.SpanContext().SpanID(), publish.Parent().SpanID())
	}
	traces, err := outbox.ReadTraces(t.Context(), db, []string{events.EventID(events.SpendRequestedV1, spend.ID), "another"})
	require.NoError(t, err)
	require.Len(t, traces, 1)
}

// named returns the ended spans of a name, of which there must be n.
func named(t *testing.T, spans *tracetest.SpanRecorder, name string, n int) []sdktrace.ReadOnlySpan {
	t.Helper()
	var list []sdktrace.ReadOnlySpan
	require.Eventually(t, func() bool {
		list = nil
		for _, span := range spans.Ended() {
			if span.Name() == name {
				list = append(list, span)
			}
		}
		return len(list) == n
	}, 10*time.Second, 5*time.Millisecond, name)
	return list
}

// TestARequestThatIsNotSampledLeavesNothingBehind: its row and its message are those
// of a request without a trace.
func TestARequestThatIsNotSampledLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	tracer, spans := recorded(t)
	relay := outbox.NewRelay(s.conn, 0, nil)
	relay.Tracer = tracer
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = relay })
	ctx, _ := tracer.Start(tracing.Continue(t.Context(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), "request")
	_, err := c.Commit(ctx, accept(newSpend("p", "k")))
	require.NoError(t, err)
	msg := s.next(t)
	require.NotContains(t, msg.Headers(), "traceparent")
	require.NotContains(t, string(msg.Data()), "traceparent")
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM outbox WHERE payload->>'traceparent' IS NULL"))
	require.Empty(t, spans.Ended())
}

// TestEffectsMaySayWhichTraceEachEventBelongsTo: then the commit's trace is not put
// in its place, nor where there is none.
func TestEffectsMaySayWhichTraceEachEventBelongsTo(t *testing.T) {
	t.Parallel()
	db, s := testenv.Postgres(t), newStream(t)
	tracer, _ := recorded(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Relay = outbox.NewRelay(s.conn, 0, nil) })
	ctx, _ := tracer.Start(t.Context(), "request")
	const theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, traceparent := range []string{theirs, ""} {
		effects := accept(newSpend("p", "k"+traceparent))
		effects.EventsTraced, effects.Events[0].Traceparent = true, traceparent
		_, err := c.Commit(ctx, effects)
		require.NoError(t, err)
		require.Equal(t, traceparent, s.next(t).Headers().Get("traceparent"))
	}
}
