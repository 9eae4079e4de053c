package adjustments

import (
	"cmp"
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/tracing"
	"github.com/sluice-gems/sluice/outbox"
)

// tracesPatience bounds reading them: a call waits for it.
const tracesPatience = 500 * time.Millisecond

// Traces reads which traces events belong to that are still owed, by event id;
// Store does.
type Traces interface {
	Traces(ctx context.Context, eventIDs []string) (map[string]string, error)
}

// Traces implements Traces.
func (s Store) Traces(ctx context.Context, eventIDs []string) (map[string]string, error) {
	return outbox.ReadTraces(ctx, s.DB, eventIDs)
}

// attemptTrace is one attempt in the traces it concerns. Its own span, with the
// call and the commits in it, stands in the trace of the delivery that brought the
// worker, and links to every spend the call is for. A spend of another trace has a
// span there that links back, and that its next event continues. A nil attemptTrace
// concerns no trace.
type attemptTrace struct {
	tracer  trace.Tracer
	name    string
	started time.Time
	own     trace.Span
	before  map[string]string     // where the trace of a spend has come to, by the spend's id
	theirs  map[string]trace.Span // of spends of other traces
}

// startAttempt returns the context of an attempt. When the worker was brought by a
// delivery without a trace, the attempt belongs to the first spend that has one.
func (t *Teller) startAttempt(ctx context.Context, turn Turn) (context.Context, *attemptTrace) {
	if t.Tracer == nil {
		return ctx, nil
	}
	a := &attemptTrace{tracer: t.Tracer, name: string(turn.Open.Purpose), started: time.Now(), before: leftOff(ctx, t.Traces, turn), theirs: map[string]trace.Span{}}
	var first string
	var links []trace.Link
	for _, spend := range turn.Spends {
		if traceparent := a.before[spend.ID]; traceparent != "" {
			first = cmp.Or(first, traceparent)
			links = append(links, trace.Link{SpanContext: tracing.Parse(traceparent), Attributes: []attribute.KeyValue{tracing.SpendID.String(spend.ID)}})
		}
	}
	if len(turn.Spends) == 1 {
		links = nil // a spend by itself is where the trace comes from
	}
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		ctx = tracing.Continue(ctx, first)
	}
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, nil
	}
	ctx, a.own = t.Tracer.Start(ctx, a.name, trace.WithLinks(links...), trace.WithAttributes(
		tracing.AdjustmentID.String(turn.Open.ID), tracing.Purpose.String(a.name), tracing.Attempt.Int64(turn.Open.Attempts),
		attribute.Int("sluice.adjustment.spends", len(turn.Spends))))
	return ctx, a
}

// leftOff reads where the traces of a turn's spends have come to, by the spend's id.
// Without an answer the traces end here, and the money moves on.
func leftOff(ctx context.Context, traces Traces, turn Turn) map[string]string {
	spendOf := map[string]string{}
	var ids []string
	for _, list := range [][]economy.Spend{turn.Spends, turn.Waiting} {
		for _, spend := range list {
			for _, cause := range causes(spend) {
				spendOf[cause.EventID], ids = spend.ID, append(ids, cause.EventID)
			}
		}
	}
	reading, cancel := context.WithTimeout(ctx, tracesPatience)
	defer cancel()
	found, err := traces.Traces(reading, ids)
	if err != nil {
		return nil
	}
	before := make(map[string]string, len(found))
	for eventID, traceparent := range found {
		before[spendOf[eventID]] = traceparent
	}
	return before
}

// told notes what the provider said, in all traces.
func (a *attemptTrace) told(turn Turn, outcome economy.Outcome) {
	if a == nil {
		return
	}
	mark(a.own, outcome)
	concerned := turn.Spends
	if turn.Open.Purpose == Charge && outcome.Kind == economy.Insufficient { // the evidence declines these, too
		concerned = append(concerned[:len(concerned):len(concerned)], turn.Waiting...)
	}
	back := trace.WithLinks(trace.Link{SpanContext: a.own.SpanContext()})
	for _, spend := range concerned {
		parent := tracing.Parse(a.before[spend.ID])
		if !parent.IsValid() || parent.TraceID() == a.own.SpanContext().TraceID() {
			continue
		}
		_, span := a.tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), parent), a.name, back, trace.WithTimestamp(a.started),
			trace.WithAttributes(tracing.SpendID.String(spend.ID), tracing.AdjustmentID.String(turn.Open.ID), tracing.Purpose.String(a.name)))
		mark(span, outcome)
		a.theirs[spend.ID] = span
	}
}

func mark(span trace.Span, outcome economy.Outcome) {
	span.SetAttributes(tracing.Outcome.String(string(outcome.Kind)))
	if !outcome.Definite() {
		tracing.Fail(span, string(outcome.Kind))
	}
}

// carry gives the events of an attempt's settlement the traces of their spends.
func (a *attemptTrace) carry(list []events.Event) {
	if a == nil {
		return
	}
	for i, event := range list {
		id, err := event.SpendID()
		if err != nil || a.before[id] == "" {
			continue
		}
		span := a.own
		if theirs, ok := a.theirs[id]; ok {
			span = theirs
		}
		ctx := trace.ContextWithSpan(context.Background(), span)
		list[i].Traceparent = cmp.Or(tracing.Traceparent(ctx), a.before[id]) // not sampled here: as it came
	}
}

// passOn gives the events of a settlement that no attempt made, but an operator, the
// traces of their spends. It has no span of its own.
func passOn(ctx context.Context, turns Turns, turn Turn, effects *outbox.Effects) {
	effects.EventsTraced = true
	traces, ok := turns.(Traces)
	if !ok || len(effects.Events) == 0 {
		return
	}
	before := leftOff(ctx, traces, turn)
	for i, event := range effects.Events {
		if id, err := event.SpendID(); err == nil {
			effects.Events[i].Traceparent = before[id]
		}
	}
}

// end ends all spans.
func (a *attemptTrace) end() {
	if a == nil {
		return
	}
	for _, span := range a.theirs {
		span.End()
	}
	a.own.End()
}
