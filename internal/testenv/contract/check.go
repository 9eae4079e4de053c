package contract

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sluice-gems/sluice/internal/openapi"
)

// Exchange is a request and its answer.
type Exchange struct {
	Request *http.Request // its body is not read
	Sent    string        // the request's body
	Status  int
	Header  http.Header // the answer's
	Body    []byte
}

// plain are the headers that any answer of HTTP may have; the description's
// introduction tells of those that mean something to a caller.
var plain = []string{
	"Content-Type", "Content-Length", "Date", "Connection", "Cache-Control", "Vary", "X-Request-Id",
	"Accept-Ranges", "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options",
}

// Check fails the test when the description does not have this exchange, and
// remembers it for RequireSeen. An answer that took the request for a good one
// must follow a request that the description allows.
func Check(t testing.TB, x Exchange) {
	t.Helper()
	d := load()
	_, pattern := d.mux.Handler(x.Request)
	c := d.calls[pattern]
	if c == nil || x.Status == http.StatusMethodNotAllowed {
		d.checkNoCall(t, x)
		return
	}
	a := c.answers[x.Status]
	if a == nil {
		t.Errorf("openapi.yaml: %s has no answer %d, but this was one:\n%s", c.name, x.Status, x.Body)
		return
	}
	checkHeaders(t, c, a, x)
	value, problems := checkBody(t, c, a, x)
	if !slices.ContainsFunc(problems, blamesRequest) {
		checkRequest(t, c, x)
	}
	remember(d, c, x, value, problems)
}

// checkNoCall is for what is no call: an address that is not there, or a method
// that the address does not have.
func (d *document) checkNoCall(t testing.TB, x Exchange) {
	t.Helper()
	slug := map[int]string{http.StatusNotFound: "not-found", http.StatusMethodNotAllowed: "method-not-allowed"}[x.Status]
	if slug == "" {
		t.Errorf("openapi.yaml has no %s %s, but it was answered with %d:\n%s", x.Request.Method, x.Request.URL.Path, x.Status, x.Body)
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(x.Body))
	if err == nil {
		err = d.problems[slug].Validate(value)
	}
	if err != nil {
		t.Errorf("%s %s, %d: %v\n%s", x.Request.Method, x.Request.URL.Path, x.Status, err, x.Body)
	}
	if x.Status == http.StatusMethodNotAllowed && x.Header.Get("Allow") == "" {
		t.Errorf("%s %s, %d: without the header Allow", x.Request.Method, x.Request.URL.Path, x.Status)
	}
	rememberProblems(d, problemsIn(value))
}

func checkHeaders(t testing.TB, c *call, a *answer, x Exchange) {
	t.Helper()
	for name, h := range a.headers {
		switch values := x.Header.Values(name); {
		case len(values) == 0 && h.required:
			t.Errorf("openapi.yaml: the answer %d of %s always has the header %s, but this one lacks it", x.Status, c.name, name)
		case len(values) > 0:
			if err := h.schema.Validate(values[0]); err != nil {
				t.Errorf("openapi.yaml: %s, %d, header %s: %v", c.name, x.Status, name, err)
			}
		}
	}
	for name := range x.Header {
		described := slices.Contains(plain, name)
		for known := range a.headers {
			described = described || http.CanonicalHeaderKey(known) == name
		}
		if !described {
			t.Errorf("openapi.yaml: the answer %d of %s has no header %s, but this one has: %s", x.Status, c.name, name, x.Header[name])
		}
	}
}

// checkBody returns the body, and the problems in it.
func checkBody(t testing.TB, c *call, a *answer, x Exchange) (value any, problems []map[string]any) {
	t.Helper()
	if len(a.media) == 0 || x.Request.Method == http.MethodHead {
		return nil, nil
	}
	media, _, _ := mime.ParseMediaType(x.Header.Get("Content-Type"))
	schema := a.media[media]
	if schema == nil {
		t.Errorf("openapi.yaml: the answer %d of %s is never %q", x.Status, c.name, media)
		return nil, nil
	}
	value = string(x.Body)
	if strings.HasSuffix(media, "json") {
		var err error
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(x.Body)); err != nil {
			t.Errorf("%s, %d: %v\n%s", c.name, x.Status, err, x.Body)
			return nil, nil
		}
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("openapi.yaml: %s, %d: %v\n%s", c.name, x.Status, err, x.Body)
	}
	return value, problemsIn(value)
}

// blamesRequest reports whether a problem says, or may say, that the request is
// not as described.
func blamesRequest(problem map[string]any) bool {
	switch problem["status"] {
	case json.Number("402"), json.Number("409"), json.Number("502"):
		return false
	}
	return true
}

func checkRequest(t testing.TB, c *call, x Exchange) {
	t.Helper()
	for name, h := range c.headers {
		if values := x.Request.Header.Values(name); len(values) > 0 {
			if err := h.schema.Validate(values[0]); err != nil {
				t.Errorf("openapi.yaml: %s was answered with %d, but its header %s is not allowed: %v", c.name, x.Status, name, err)
			}
		}
	}
	if c.sent == nil {
		return
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(x.Sent))
	if err == nil {
		err = c.sent.Validate(value)
	}
	if err != nil {
		t.Errorf("openapi.yaml: %s was answered with %d, but its body is not allowed: %v\n%s", c.name, x.Status, err, x.Sent)
	}
}

// problemsIn returns the problems in a body, wherever in it they are.
func problemsIn(value any) []map[string]any {
	var found []map[string]any
	switch value := value.(type) {
	case map[string]any:
		if kind, ok := value["type"].(string); ok && strings.HasPrefix(kind, openapi.ProblemBase) {
			return []map[string]any{value}
		}
		for _, inner := range value {
			found = append(found, problemsIn(inner)...)
		}
	case []any:
		for _, inner := range value {
			found = append(found, problemsIn(inner)...)
		}
	}
	return found
}
