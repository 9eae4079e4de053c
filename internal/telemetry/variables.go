package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// On reports whether the environment asks for traces.
func On() bool {
	return endpoint() != "" && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") && exporter() != "none"
}

// traces returns a variable of the exporter: the one for traces, or the one for everything.
func traces(name string) string {
	return cmp.Or(strings.TrimSpace(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name)), strings.TrimSpace(os.Getenv("OTEL_EXPORTER_OTLP_"+name)))
}

func endpoint() string { return traces("ENDPOINT") }

func exporter() string { return strings.TrimSpace(os.Getenv("OTEL_TRACES_EXPORTER")) }

var samplers = []string{
	"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
}

// Check reports everything that is wrong with the variables, where the SDK would
// go on with a default. No value that may be secret is shown. Without a receiver
// nothing is read, and so nothing is wrong.
func Check() error {
	if !On() {
		return nil
	}
	var problems []error
	wrong := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
	}
	if u, err := url.Parse(endpoint()); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		wrong("OTEL_EXPORTER_OTLP_ENDPOINT", "is not the URL of an OTLP receiver: write one such as http://localhost:4318")
	}
	if name := exporter(); name != "" && name != "otlp" {
		wrong("OTEL_TRACES_EXPORTER", "%q is not an exporter of sluice: write otlp, or none for no traces", name)
	}
	if name := traces("PROTOCOL"); name != "" && name != "http/protobuf" && name != "http/json" {
		wrong("OTEL_EXPORTER_OTLP_PROTOCOL", "%q is not a protocol of sluice: write http/protobuf or http/json", name)
	}
	for i, pair := range strings.Split(traces("HEADERS"), ",") {
		if name, _, found := strings.Cut(pair, "="); traces("HEADERS") != "" && (!found || strings.TrimSpace(name) == "") {
			wrong("OTEL_EXPORTER_OTLP_HEADERS", "entry %d is not name=value", i+1)
		}
	}
	sampler := strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER")))
	if sampler != "" && !slices.Contains(samplers, sampler) {
		wrong("OTEL_TRACES_SAMPLER", "%q is not a sampler: write one of %s", sampler, strings.Join(samplers, ", "))
	}
	if arg := strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER_ARG")); arg != "" && strings.HasSuffix(sampler, "traceidratio") {
		if ratio, err := strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			wrong("OTEL_TRACES_SAMPLER_ARG", "%q is not a share from 0 to 1: write one such as 0.01", arg)
		}
	}
	return errors.Join(problems...)
}
