package openapi

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// group is the calls under one tag.
type group struct {
	ID, Name string
	About    template.HTML
	Calls    []call
}

// call is one operation.
type call struct {
	ID, Method, Path, Name string
	About                  template.HTML
	Who                    []caller
	Parameters             []member
	Body                   []member
	Commands               []example
	Answers                []answer
}

// caller is who may make a call.
type caller struct {
	Name     string
	Variable string // that holds the token in a command; "": nobody else can make the call, and no command is shown
}

// callers are the security schemes.
var callers = map[string]caller{
	"session": {"a player's session", "TOKEN"}, "serverKey": {"a server key", "SERVER_KEY"}, "adminKey": {"an operator's key", "ADMIN_KEY"},
	"webhook": {"what the webhook's page in RevenueCat is configured to send", ""},
}

// example is a command or a body to be shown.
type example struct{ About, Text string }

// answer is what a call answers with one status.
type answer struct {
	Status, Phrase string
	About          template.HTML
	Headers        []member
	Media          string
	OneOf          []link // the objects that the body may be
	Members        []member
	Problems       []link
	Examples       []example
}

func (p *page) addCalls() {
	for _, tag := range p.doc.get("tags").items() {
		name := tag.get("name").text()
		p.Groups = append(p.Groups, &group{ID: anchor(name), Name: name, About: p.prose(tag.about())})
	}
	for _, path := range p.doc.get("paths").entries() {
		for _, method := range path.value.entries() {
			c := p.call(path.key, strings.ToUpper(method.key), method.value)
			at := slices.IndexFunc(p.Groups, func(g *group) bool { return method.value.get("tags").has(g.Name) })
			if at < 0 {
				p.fail(fmt.Errorf("%s %s: its tag is none of the list", c.Method, c.Path))
				continue
			}
			p.Groups[at].Calls = append(p.Groups[at].Calls, c)
		}
	}
}

// anchor makes a name an anchor.
func anchor(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }

func (p *page) call(path, method string, n node) call {
	c := call{
		ID: n.get("operationId").text(), Method: method, Path: path, Name: n.get("summary").text(), About: p.prose(n.about()),
	}
	for _, way := range n.get("security").items() {
		for _, scheme := range way.entries() {
			who, known := callers[scheme.key]
			if !known {
				p.fail(fmt.Errorf("%s %s: nobody is known to sign in by %q", method, path, scheme.key))
			}
			c.Who = append(c.Who, who)
		}
	}
	for _, parameter := range n.get("parameters").items() {
		m := p.member(parameter.get("name").text(), parameter)
		m.Where = parameter.get("in").text()
		c.Parameters = append(c.Parameters, m)
	}
	body := n.get("requestBody", "content", "application/json")
	c.Body = p.members(body.get("schema"))
	c.Commands = commands(c, body.get("examples"))
	for _, e := range n.get("responses").entries() {
		c.Answers = append(c.Answers, p.answer(c, e.key, e.value))
	}
	return c
}

// commands make a call that people can make, one for each example of its body.
func commands(c call, bodies node) []example {
	if len(c.Who) > 0 && c.Who[0].Variable == "" {
		return nil
	}
	var list []example
	for _, e := range bodies.entries() {
		list = append(list, example{e.value.get("summary").text(), curl(c, jsonLine(e.value.get("value"), ":", ","))})
	}
	if list == nil {
		list = []example{{"", curl(c, "")}}
	}
	return list
}

// member returns a parameter or a header.
func (p *page) member(name string, n node) member {
	m := member{
		Name: name, Required: n.get("required").text() == "true", About: p.prose(n.about()), Example: n.get("example").text(),
	}
	m.Type, m.Links = p.typeOf(n.get("schema"))
	return m
}

func (p *page) answer(c call, status string, n node) answer {
	code, err := strconv.Atoi(status)
	if err != nil {
		p.fail(fmt.Errorf("%s %s: the status %q is no number", c.Method, c.Path, status))
	}
	a := answer{Status: status, Phrase: http.StatusText(code), About: p.prose(n.about())}
	for _, e := range n.get("headers").entries() {
		a.Headers = append(a.Headers, p.member(e.key, e.value))
	}
	for _, media := range n.get("content").entries() {
		if a.Media != "" {
			p.fail(fmt.Errorf("%s %s, %s: two media types", c.Method, c.Path, status))
		}
		a.Media = media.key
		p.addBody(&a, media.value)
		p.addCaller(c, media.value.get("schema"))
	}
	return a
}

// addBody adds what an answer's body is.
func (p *page) addBody(a *answer, media node) {
	schema := media.get("schema")
	switch {
	case a.Media == "application/problem+json":
		a.Problems = problemLinks(schema)
	case schema.get("oneOf").is():
		for _, item := range schema.get("oneOf").items() {
			p.need(item.name)
			a.OneOf = append(a.OneOf, link{item.name, item.name})
		}
	default:
		a.Members = p.members(schema)
	}
	for _, e := range media.get("examples").entries() {
		a.Examples = append(a.Examples, example{e.value.get("summary").text(), jsonText(e.value.get("value"), "\n")})
	}
}

// addCaller notes at the problems of a body which call answers with them.
func (p *page) addCaller(c call, schema node) {
	at := link{c.ID, c.Method + " " + c.Path}
	for _, found := range schema.problems() {
		for _, known := range p.Problems {
			if known.Slug == found.slug() && !slices.Contains(known.Calls, at) {
				known.Calls = append(known.Calls, at)
			}
		}
	}
}
