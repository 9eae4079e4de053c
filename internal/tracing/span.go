package tracing

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Our own attributes. Like all attributes of our spans they hold ids of ours and
// words of closed sets, never free text: an error's text stands in the log, on the line
// with the same trace_id.
const (
	SpendID      = attribute.Key("sluice.spend.id")
	AdjustmentID = attribute.Key("sluice.adjustment.id")
	Purpose      = attribute.Key("sluice.adjustment.purpose")
	Outcome      = attribute.Key("sluice.outcome")
	Attempt      = attribute.Key("sluice.attempt")
)

// Fail marks a span as failed. errorType is a word of a closed set.
func Fail(span trace.Span, errorType string) {
	span.SetStatus(codes.Error, "")
	span.SetAttributes(semconv.ErrorTypeKey.String(errorType))
}

// Destination is a subject without its partition, for the names of spans:
// "sluice.live.spend.requested.v1.*".
func Destination(subject string) string {
	return subject[:strings.LastIndexByte(subject, '.')+1] + "*"
}

// Message describes the message a span is about.
func Message(subject, id string) []attribute.KeyValue {
	template := Destination(subject)
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingDestinationName(subject), semconv.MessagingDestinationTemplate(template),
		semconv.MessagingDestinationPartitionID(subject[len(template)-1:]), semconv.MessagingMessageID(id),
	}
}
