package adjustments_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat/simulator"
	"github.com/sluice-gems/sluice/internal/tracing"
	"github.com/sluice-gems/sluice/outbox"
)

// traceNo is a trace context of a client; 0: none.
func traceNo(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("00-%032x-%016x-01", n, n)
}

// acceptTraced stores a spend whose request belonged to a trace.
func (w *world) acceptTraced(player string, n int, gems economy.Amount) economy.Spend {
	w.t.Helper()
	spend := economy.Spend{
		ID: outbox.NewID(), AppUserID: player, IdempotencyKey: outbox.NewID(), Item: "extra_life", Quantity: 1,
		Cost: economy.Amounts{"GEM": gems}, CatalogVersion: 1, State: economy.Requested, AcceptedAt: time.Now(),
	}
	event := events.NewSpendRequested(spend.ID, player, spend.AcceptedAt)
	event.Traceparent = traceNo(n)
	_, err := w.committer.Commit(w.t.Context(), outbox.Effects{Guard: books.Accept{Spend: spend}, Events: []events.Event{event}, EventsTraced: true})
	require.NoError(w.t, err)
	return spend
}

// tracedTeller is one more process, with what it records.
func (w *world) tracedTeller() (*adjustments.Teller, *tracetest.SpanRecorder) {
	w.t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	w.t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(w.t.Context())) })
	teller := w.teller()
	teller.Tracer, teller.Traces = provider.Tracer(tracing.Scope), adjustments.Store{DB: w.db}
	return teller, spans
}

// chargedIn returns the trace that the hand-over of a spend will continue.
func (w *world) chargedIn(spend economy.Spend) string {
	w.t.Helper()
	id := events.EventID(events.SpendChargedV1, spend.ID)
	traces, err := outbox.ReadTraces(w.t.Context(), w.db, []string{id})
	require.NoError(w.t, err)
	if traces[id] == "" {
		return ""
	}
	return tracing.Parse(traces[id]).TraceID().String()
}

func traceID(n int) string { return fmt.Sprintf("%032x", n) }

// TestSpendsChargedTogetherStayInTheirOwnTraces: one call, in the trace of the first
// spend that has one, linked with the others; each spend goes on in its own, and one
// without a trace in none.
func TestSpendsChargedTogetherStayInTheirOwnTraces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.know("p", 100)
	spends := []economy.Spend{w.acceptTraced("p", 0, 10), w.acceptTraced("p", 1, 10), w.acceptTraced("p", 2, 10)}
	teller, spans := w.tracedTeller()
	_, err := teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Empty(t, w.chargedIn(spends[0]))
	require.Equal(t, traceID(1), w.chargedIn(spends[1]))
	require.Equal(t, traceID(2), w.chargedIn(spends[2]))

	byTrace := map[string]sdktrace.ReadOnlySpan{}
	for _, span := range spans.Ended() {
		if span.Name() == "charge" {
			byTrace[span.SpanContext().TraceID().String()] = span
		}
	}
	require.Len(t, byTrace, 2)
	require.Len(t, byTrace[traceID(1)].Links(), 2, "the call concerns two traces")
	require.Len(t, byTrace[traceID(2)].Links(), 1)
	require.Equal(t, byTrace[traceID(1)].SpanContext().SpanID(), byTrace[traceID(2)].Links()[0].SpanContext.SpanID())
}

// TestAnAttemptThatDecidesNothingIsAFailedSpan: of every trace it concerns. The next
// attempt continues them again, and so does an operator's word.
func TestAnAttemptThatDecidesNothingIsAFailedSpan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 100}))
	w.know("p", 100)
	spends := []economy.Spend{w.acceptTraced("p", 1, 10), w.acceptTraced("p", 2, 10)}
	teller, spans := w.tracedTeller()
	w.sim.SetFaults(simulator.Faults{LoseAnswer: 1, ReplayConflict: 1})
	_, err := teller.Charge(t.Context(), "p")
	require.Error(t, err)
	failed := map[string]bool{}
	for _, span := range spans.Ended() {
		if span.Name() == "charge" {
			failed[span.SpanContext().TraceID().String()] = span.Status().Code == codes.Error && span.Status().Description == ""
		}
	}
	require.Equal(t, map[string]bool{traceID(1): true, traceID(2): true}, failed)
	require.NoError(t, w.decide(w.spend(spends[0].ID), true))
	require.Equal(t, traceID(1), w.chargedIn(spends[0]))
	require.Equal(t, traceID(2), w.chargedIn(spends[1]))
}

// TestARefusalShowsInTheTraceOfEverySpendItDeclines: also of those beside the call.
func TestARefusalShowsInTheTraceOfEverySpendItDeclines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.sim.SetBalance("p", economy.Amounts{"GEM": 5}))
	first, beside := w.acceptTraced("p", 1, 50), w.acceptTraced("p", 2, 60)
	teller, spans := w.tracedTeller()
	_, err := teller.Charge(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []economy.State{economy.Declined, economy.Declined}, w.states([]economy.Spend{first, beside}))
	shown := map[string]bool{}
	for _, span := range spans.Ended() {
		if span.Name() == "charge" {
			shown[span.SpanContext().TraceID().String()] = true
		}
	}
	require.Equal(t, map[string]bool{traceID(1): true, traceID(2): true}, shown)
}
