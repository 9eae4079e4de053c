package telemetry_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/telemetry"
	"github.com/sluice-gems/sluice/internal/tracing"
)

// environment sets OpenTelemetry's variables, and unsets those of who runs the test.
func environment(t *testing.T, pairs ...string) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
		"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
	} {
		t.Setenv(name, "")
	}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"

// TestTracesAreOffUnlessAReceiverIsNamed: then there is no tracer, and what is wrong
// with the other variables does not matter.
func TestTracesAreOffUnlessAReceiverIsNamed(t *testing.T) {
	for _, pairs := range [][]string{
		{"OTEL_TRACES_SAMPLER=nonsense"}, {endpoint, "OTEL_SDK_DISABLED=true"}, {endpoint, "OTEL_TRACES_EXPORTER=none"},
	} {
		environment(t, pairs...)
		off, err := telemetry.Start(t.Context(), "sluice-test", "v0", slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.Nil(t, off.Tracer, pairs)
		require.False(t, telemetry.On())
		off.Stop()
	}
}

func TestAReceiverThatIsAwayStopsNobody(t *testing.T) {
	environment(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1/v1/traces")
	on, err := telemetry.Start(t.Context(), "sluice-test", "v0", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, span := on.Tracer.Start(t.Context(), "x")
	span.End()
	on.Stop()
	on.Stop()
}

// TestSpansSayWhichBuildTheyAreOf: the one that a release was stamped with, which Go
// knows nothing of.
func TestSpansSayWhichBuildTheyAreOf(t *testing.T) {
	told := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		told <- string(raw)
	}))
	t.Cleanup(receiver.Close)
	environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL)
	on, err := telemetry.Start(t.Context(), "sluice-test", "v1.2.3-test", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, span := on.Tracer.Start(t.Context(), "x")
	span.End()
	on.Stop()
	require.Contains(t, <-told, "v1.2.3-test")
}

func TestWhatIsWrongIsSaidAtOnceAndWithoutItsSecrets(t *testing.T) {
	environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318/canary", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_TRACES_EXPORTER=jaeger",
		"OTEL_EXPORTER_OTLP_HEADERS=a=b,canary", "OTEL_TRACES_SAMPLER=sometimes")
	err := telemetry.Check()
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER",
	} {
		require.ErrorContains(t, err, name+":")
	}
	require.NotContains(t, err.Error(), "canary")
	_, err = telemetry.Start(t.Context(), "sluice-test", "v0", slog.New(slog.DiscardHandler))
	require.Error(t, err)

	for arg, ok := range map[string]bool{"0.01": true, "1": true, "2": false, "-1": false, "NaN": false, "many": false} {
		environment(t, endpoint, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG="+arg)
		require.Equal(t, ok, telemetry.Check() == nil, arg)
	}
}

func TestALineInsideASpanNamesItsTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(telemetry.LogHandler(slog.NewJSONHandler(&out, nil))).With("role", "test")
	line := func() map[string]any {
		t.Helper()
		var got map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		out.Reset()
		return got
	}
	log.InfoContext(tracing.Continue(t.Context(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), "inside")
	inside := line()
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", inside["trace_id"])
	require.Equal(t, "00f067aa0ba902b7", inside["span_id"])
	require.Equal(t, "test", inside["role"])
	log.InfoContext(t.Context(), "outside")
	require.NotContains(t, line(), "trace_id")
}
