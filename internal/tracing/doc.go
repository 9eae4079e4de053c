// Package tracing carries a trace from hop to hop: from the request through the
// envelope of an event, and with it through outbox rows and messages, to the last
// effect. It knows OpenTelemetry's API; internal/telemetry, which knows its SDK, says
// where spans go.
//
// A trace begins at the API. Every later step only continues one: what comes from a
// request that is not sampled, or from a process that does not trace, makes no spans.
// So a step asks its context or its event for a trace first, and when there is none it
// has cost a look.
package tracing
