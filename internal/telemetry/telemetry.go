package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gems/sluice/internal/tracing"
)

// flushPatience bounds the delivery of the last spans when a process ends.
const flushPatience = 3 * time.Second

// Telemetry is where the spans of a process go.
type Telemetry struct {
	// Tracer begins and continues traces; nil when they are off.
	Tracer   trace.Tracer
	log      *slog.Logger
	provider *sdktrace.TracerProvider
}

// Start sets OpenTelemetry up as the environment says. service names the process
// unless OTEL_SERVICE_NAME does; version is its build. It connects to nobody: a receiver that is away costs
// spans and a line in the log, and delays nothing. Errors are those of Check.
func Start(ctx context.Context, service, version string, log *slog.Logger) (*Telemetry, error) {
	t := &Telemetry{log: log}
	if !On() {
		return t, nil
	}
	if err := Check(); err != nil {
		return nil, err
	}
	otel.SetLogger(logr.Discard()) // it would print what it cannot read, headers with keys too; Check has said it
	background := context.WithoutCancel(ctx)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.WarnContext(background, "traces are not delivered", "error", err) }))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	who, err := describe(ctx, service, version)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(who))
	t.Tracer = t.provider.Tracer(tracing.Scope)
	return t, nil
}

// describe says which process the spans are of. What its command line or its
// environment holds is not part of it, but for OpenTelemetry's own variables.
func describe(ctx context.Context, service, version string) (*resource.Resource, error) {
	return resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		semconv.ServiceName(service), semconv.ServiceVersion(version), semconv.ServiceInstanceID(uuid.NewString())), resource.WithFromEnv())
}

// Stop delivers what is left, for a few seconds at most. A second call does nothing.
func (t *Telemetry) Stop() {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.WarnContext(ctx, "the last traces are not delivered", "error", err)
	}
}
