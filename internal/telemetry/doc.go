// Package telemetry sets OpenTelemetry up: it is the only room that knows its SDK.
// Traces are off unless one of OpenTelemetry's own variables names a receiver, and
// then they are sent there by OTLP over HTTP. The variables are those of its
// specification (OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER, OTEL_BSP_*), so that Sluice is set up like everything beside it.
package telemetry
