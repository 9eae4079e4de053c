package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// receiver takes traces as a collector does: OTLP over HTTP.
type receiver struct {
	server *httptest.Server

	mu    sync.Mutex
	spans []span
	text  strings.Builder // everything that was received, readable
}

// span is a span as it arrived.
type span struct {
	service, name           string
	trace, id, parent, kind string
	failed                  bool
	attributes              map[string]string
	links                   []string // trace ids
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		raw, err := io.ReadAll(request.Body)
		var message collector.ExportTraceServiceRequest
		if !assert.NoError(t, err) || !assert.Equal(t, "/v1/traces", request.URL.Path) || !assert.NoError(t, proto.Unmarshal(raw, &message)) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.take(&message)
		w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer: all was taken
	}))
	t.Cleanup(r.server.Close)
	return r
}

// settings has a process of Sluice send its traces here, soon.
func (r *receiver) settings() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.server.URL, "OTEL_BSP_SCHEDULE_DELAY=50"}
}

func (r *receiver) take(message *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(&r.text, message)
	for _, resource := range message.GetResourceSpans() {
		service := attributesOf(resource.GetResource().GetAttributes())["service.name"]
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				it := span{
					service: service, name: s.GetName(), trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()),
					parent: hex.EncodeToString(s.GetParentSpanId()), kind: strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"),
					failed: s.GetStatus().GetCode() == 2, attributes: attributesOf(s.GetAttributes()),
				}
				for _, link := range s.GetLinks() {
					it.links = append(it.links, hex.EncodeToString(link.GetTraceId()))
				}
				r.spans = append(r.spans, it)
			}
		}
	}
}

func attributesOf(list []*commonpb.KeyValue) map[string]string {
	attributes := map[string]string{}
	for _, pair := range list {
		switch value := pair.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			attributes[pair.GetKey()] = value.StringValue
		default:
			attributes[pair.GetKey()] = strings.TrimSpace(fmt.Sprint(pair.GetValue()))
		}
	}
	return attributes
}

// of returns the spans of a trace.
func (r *receiver) of(trace string) []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.spans), func(s span) bool { return s.trace != trace })
}

// received is everything that arrived, as text.
func (r *receiver) received() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// paths returns a trace's spans by the way to each, "POST /spend > COMMIT spend_accept",
// and those that hang on nothing. root is the span of the client.
func paths(spans []span, root string) (by map[string][]span, loose []string) {
	byID := map[string]span{}
	for _, s := range spans {
		byID[s.id] = s
	}
	by = map[string][]span{}
	for _, s := range spans {
		path, at := s.name, s
		for at.parent != root && at.parent != "" {
			parent, ok := byID[at.parent]
			if !ok {
				loose = append(loose, s.name)
				break
			}
			path, at = parent.name+" > "+path, parent
		}
		by[path] = append(by[path], s)
	}
	return by, loose
}

// requireTrace waits until a trace has a span on each of the ways, and wants every
// span of it to hang on the client's.
func (r *receiver) requireTrace(t testing.TB, client traceparent, ways ...string) map[string][]span {
	t.Helper()
	var by map[string][]span
	var loose, missing []string
	complete := func() bool {
		by, loose = paths(r.of(client.trace), client.span)
		missing = slices.DeleteFunc(slices.Clone(ways), func(way string) bool { return by[way] != nil })
		return len(missing)+len(loose) == 0
	}
	if !assert.Eventually(t, complete, startPatience, tick) {
		require.FailNow(t, "the trace is not whole", "missing: %q\nloose: %q\nthere:\n%s", missing, loose,
			strings.Join(slices.Sorted(maps.Keys(by)), "\n"))
	}
	return by
}

// traceparent is the trace context of a client.
type traceparent struct{ trace, span string }

// newTraceparent makes the n-th context of a test.
func newTraceparent(n int) traceparent {
	return traceparent{fmt.Sprintf("4bf92f3577b34da6a3ce929d0e0e%04x", n), fmt.Sprintf("00f067aa0ba9%04x", n)}
}

func (p traceparent) header() []string {
	return []string{"Traceparent", "00-" + p.trace + "-" + p.span + "-01", "Tracestate", "canary=tracestate"}
}

// one returns the only span on a way.
func one(t testing.TB, by map[string][]span, way string) span {
	t.Helper()
	require.Len(t, by[way], 1, way)
	return by[way][0]
}
