package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-gems/sluice/internal/openapi"
)

// document is the description, ready to be compared with.
type document struct {
	mux      *http.ServeMux // finds the call of a request, by its pattern
	calls    map[string]*call
	problems map[string]*jsonschema.Schema // by the last part of the type
	examples map[string]map[string]any     // of a problem's members, likewise
	shownBy  map[string]string             // whose calls have to show them, likewise: the first tag of the list that has it
	compiler *jsonschema.Compiler
}

// call is an operation.
type call struct {
	name    string // POST /spend
	tag     string
	open    bool               // nobody has to sign in
	sent    *jsonschema.Schema // the body; nil: it has none
	bodies  []string           // its examples
	headers map[string]header  // of the request
	answers map[int]*answer
}

// answer is what a call may answer with one status.
type answer struct {
	media    map[string]*jsonschema.Schema
	headers  map[string]header
	problems []string       // that its body may have, or have somewhere in it
	examples map[string]any // by their names
}

type header struct {
	required bool
	schema   *jsonschema.Schema
}

// The description, as it stands and with every object of an answer complete.
const (
	asItStands = "https://sluice.dev/openapi.json"
	complete   = "https://sluice.dev/openapi.complete.json"
)

// load reads the description, once.
var load = sync.OnceValue(func() *document {
	var tree any
	must(yaml.Unmarshal(openapi.YAML(), &tree))
	raw, err := json.Marshal(tree)
	must(err)
	d := &document{
		mux: http.NewServeMux(), calls: map[string]*call{}, problems: map[string]*jsonschema.Schema{}, examples: map[string]map[string]any{},
		shownBy: map[string]string{}, compiler: jsonschema.NewCompiler(),
	}
	d.compiler.AssertFormat()
	for _, name := range []string{asItStands, complete} {
		tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		must(err)
		if name == complete {
			closeObjects(tree)
		}
		must(d.compiler.AddResource(name, tree))
	}
	root := place{at: tree, root: tree}
	for _, name := range root.get("components", "schemas").keys() {
		d.addProblem(root.get("components", "schemas", name))
	}
	for _, path := range root.get("paths").keys() {
		for _, method := range root.get("paths", path).keys() {
			d.addCall(strings.ToUpper(method)+" "+path, root.get("paths", path, method))
		}
	}
	for i := range len(root.get("tags").keys()) {
		d.addShownBy(root.get("tags", strconv.Itoa(i), "name").text())
	}
	return d
})

// Sent is an example of a request.
type Sent struct{ Tag, Method, Path, Body string }

// Examples returns every example of a request's body, in no order.
func Examples() []Sent {
	var list []Sent
	for _, c := range load().calls {
		method, path, _ := strings.Cut(c.name, " ")
		for _, body := range c.bodies {
			list = append(list, Sent{c.tag, method, path, body})
		}
	}
	return list
}

// Call is one that the description has.
type Call struct {
	Method, Path string
	Open         bool // nobody has to sign in
}

// Calls returns every call, in no order.
func Calls() []Call {
	var list []Call
	for _, c := range load().calls {
		method, path, _ := strings.Cut(c.name, " ")
		list = append(list, Call{method, path, c.open})
	}
	return list
}

// Problems returns the last part of every problem's type, sorted.
func Problems() []string { return slices.Sorted(maps.Keys(load().problems)) }

// must stops tests whose description cannot be read: there is nothing to compare.
func must(err error) {
	if err != nil {
		panic(fmt.Errorf("openapi.yaml: %w", err))
	}
}

func (d *document) addProblem(schema place) {
	properties := schema.get("properties")
	kind, _ := properties.get("type", "const").at.(string)
	slug, isProblem := strings.CutPrefix(kind, openapi.ProblemBase)
	if !isProblem {
		return
	}
	d.problems[slug] = d.compile(complete, schema)
	d.examples[slug] = map[string]any{}
	for _, name := range properties.keys() {
		if list, ok := properties.get(name, "examples").at.([]any); ok {
			d.examples[slug][name] = list[0]
		}
	}
}

func (d *document) addCall(name string, at place) {
	c := &call{
		name: name, tag: at.get("tags", "0").text(), open: len(at.get("security").keys()) == 0, answers: map[int]*answer{}, headers: map[string]header{},
	}
	d.calls[name] = c
	d.mux.Handle(name, http.NotFoundHandler())
	if schema := at.get("requestBody", "content", "application/json", "schema"); schema.at != nil {
		c.sent = d.compile(asItStands, schema)
	}
	examples := at.get("requestBody", "content", "application/json", "examples")
	for _, name := range examples.keys() {
		body, err := json.Marshal(examples.get(name, "value").at)
		must(err)
		c.bodies = append(c.bodies, string(body))
	}
	for _, i := range at.get("parameters").keys() {
		if p := at.get("parameters", i); p.get("in").text() == "header" {
			c.headers[p.get("name").text()] = header{schema: d.compile(asItStands, p.get("schema"))}
		}
	}
	for _, status := range at.get("responses").keys() {
		var code int
		_, err := fmt.Sscan(status, &code)
		must(err)
		c.answers[code] = d.answer(at.get("responses", status))
	}
}

// addShownBy makes a tag the one that shows the problems of its calls, as far as no
// other does: the words of one problem may differ from call to call.
func (d *document) addShownBy(tag string) {
	for _, c := range d.calls {
		for _, a := range c.answers {
			for _, slug := range a.problems {
				if c.tag == tag && d.shownBy[slug] == "" {
					d.shownBy[slug] = tag
				}
			}
		}
	}
}

func (d *document) answer(at place) *answer {
	a := &answer{media: map[string]*jsonschema.Schema{}, headers: map[string]header{}, examples: map[string]any{}}
	for _, name := range at.get("headers").keys() {
		h := at.get("headers", name)
		a.headers[name] = header{h.get("required").at == true, d.compile(asItStands, h.get("schema"))}
	}
	for _, media := range at.get("content").keys() {
		m := at.get("content", media)
		a.media[media] = d.compile(complete, m.get("schema"))
		a.problems = append(a.problems, m.get("schema").problems()...)
		for _, name := range m.get("examples").keys() {
			a.examples[name] = m.get("examples", name, "value").at
		}
	}
	return a
}

func (d *document) compile(resource string, schema place) *jsonschema.Schema {
	compiled, err := d.compiler.Compile(resource + "#" + schema.pointer)
	must(err)
	return compiled
}

// closeObjects says of every object that it has no members but those it lists.
func closeObjects(at any) {
	switch at := at.(type) {
	case map[string]any:
		if at["type"] == "object" && at["properties"] != nil && at["additionalProperties"] == nil {
			at["additionalProperties"] = false
		}
		for _, value := range at {
			closeObjects(value)
		}
	case []any:
		for _, value := range at {
			closeObjects(value)
		}
	}
}
