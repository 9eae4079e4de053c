package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/tracing"
)

// startCommit starts the span of one caller's part in a commit, when the caller is
// traced. It is what the events of the commit continue: the row of an event, and
// every message made of it, name this span.
func startCommit(ctx context.Context, effects Effects) (context.Context, Effects, trace.Span) {
	tracer := tracing.Tracer(ctx)
	if tracer == nil {
		return ctx, effects, nil
	}
	summary := "COMMIT " + effects.Guard.Kind().Name
	ctx, span := tracer.Start(ctx, summary, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.DBSystemNamePostgreSQL, semconv.DBOperationName("COMMIT"), semconv.DBQuerySummary(summary)))
	if !effects.EventsTraced {
		effects.Events = slices.Clone(effects.Events)
		for i := range effects.Events {
			effects.Events[i].Traceparent = tracing.Traceparent(ctx)
		}
	}
	return ctx, effects, span
}

// endCommit ends the span of startCommit.
func endCommit(span trace.Span, a answer) {
	if span == nil {
		return
	}
	if a.batch > 1 { // below two it is no batch, say the conventions
		span.SetAttributes(semconv.DBOperationBatchSize(a.batch))
	}
	if a.err != nil {
		tracing.Fail(span, errorType(a.err))
	} else {
		span.SetAttributes(tracing.Outcome.String(a.result.String()))
	}
	span.End()
}

// errorType is an error's place in a closed set. Its text stays in the log.
func errorType(err error) string {
	var data *DataError
	switch {
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case errors.Is(err, ErrOverloaded):
		return "overloaded"
	case errors.Is(err, ErrClosed):
		return "closed"
	case errors.As(err, &data):
		return "data"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "other"
}

// startSend starts the span of a publish, of an event that is traced. It stands
// beside the consumers' spans, below the commit that made the event: a message that
// is published again is the same message.
func startSend(ctx context.Context, tracer trace.Tracer, subject, id, traceparent string) trace.Span {
	if tracer == nil || traceparent == "" {
		return nil
	}
	attributes := append(tracing.Message(subject, id), semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend)
	_, span := tracer.Start(tracing.Continue(ctx, traceparent), "publish "+tracing.Destination(subject),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return span
}

// endSend ends the span of startSend.
func endSend(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		tracing.Fail(span, "not_stored")
	}
	span.End()
}

// traceHeader is what a message carries of its event's trace; nil without one.
func traceHeader(traceparent string) map[string]string {
	if traceparent == "" {
		return nil
	}
	return map[string]string{tracing.Header: traceparent}
}

// ReadTraces returns the trace contexts of events that are still owed to somebody, by
// event id. Events without one are left out.
func ReadTraces(ctx context.Context, db *sqlx.DB, eventIDs []string) (map[string]string, error) {
	var rows []struct {
		EventID     string `db:"event_id"`
		Traceparent string `db:"traceparent"`
	}
	err := db.SelectContext(ctx, &rows, `SELECT event_id, traceparent
		FROM outbox, LATERAL (SELECT payload->>'traceparent') t(traceparent) WHERE event_id = ANY($1) AND traceparent IS NOT NULL`, postgres.Array(eventIDs))
	if err != nil {
		return nil, fmt.Errorf("read traces: %w", err)
	}
	traces := make(map[string]string, len(rows))
	for _, row := range rows {
		traces[row.EventID] = row.Traceparent
	}
	return traces, nil
}
