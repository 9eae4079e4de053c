package openapi

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/parser"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what page.html shows.
type page struct {
	Title, Summary string
	Style          template.CSS
	Intro          template.HTML
	Headings       []link // of the introduction
	Groups         []*group
	Problems       []*problem
	Objects        []object

	doc    node
	needed []string // the objects to show, by name
	failed error
}

// object is a named schema.
type object struct {
	Name    string
	About   template.HTML
	Members []member
}

// problem is one way in which calls fail.
type problem struct {
	Slug, Status, Title, Type, Error string
	About                            template.HTML
	Example                          string
	Calls                            []link // that answer with it; none: every address does
}

// render makes the page. style is what stands in its style element.
func render(raw []byte) (html []byte, style string, err error) {
	doc, err := parse(raw)
	if err != nil {
		return nil, "", err
	}
	p := &page{
		doc: doc, Title: doc.get("info", "title").text(), Summary: doc.get("info", "summary").text(),
		Style: template.CSS(pageStyle),
	}
	p.Intro = p.prose(doc.get("info", "description").text())
	for _, found := range heading.FindAllStringSubmatch(string(p.Intro), -1) {
		p.Headings = append(p.Headings, link{found[1], found[2]})
	}
	p.need("Problem")
	p.addProblems()
	p.addCalls()
	p.addObjects()
	var out bytes.Buffer
	if err := errors.Join(p.failed, pageTemplate.Execute(&out, p)); err != nil {
		return nil, "", fmt.Errorf("page of openapi.yaml: %w", err)
	}
	return out.Bytes(), pageStyle, nil
}

var heading = regexp.MustCompile(`<h2 id="([^"]+)">([^<]+)</h2>`)

var markdown = goldmark.New(goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// prose turns CommonMark into HTML. Markup of its own is left out by goldmark.
func (p *page) prose(text string) template.HTML {
	if text == "" {
		return ""
	}
	var out bytes.Buffer
	if err := markdown.Convert([]byte(text), &out); err != nil {
		p.fail(err)
	}
	return template.HTML(out.String()) // goldmark escapes, and the text is ours
}

// fail remembers why there can be no page.
func (p *page) fail(err error) { p.failed = errors.Join(p.failed, err) }

// need has an object shown.
func (p *page) need(name string) {
	if !slices.Contains(p.needed, name) {
		p.needed = append(p.needed, name)
	}
}

// addObjects adds what the calls refer to, and what that refers to in turn.
func (p *page) addObjects() {
	for len(p.Objects) < len(p.needed) {
		name := p.needed[len(p.Objects)]
		schema := p.doc.get("components", "schemas", name)
		p.Objects = append(p.Objects, object{name, p.prose(schema.about()), p.members(schema)})
	}
}

func (p *page) addProblems() {
	for _, e := range p.doc.get("components", "schemas").entries() {
		slug := e.value.slug()
		if slug == "" {
			continue
		}
		constant := func(name string) string { return e.value.get("properties", name, "const").text() }
		p.Problems = append(p.Problems, &problem{
			Slug: slug, Status: constant("status"), Title: constant("title"), Type: constant("type"), Error: constant("error"),
			About: p.prose(e.value.about()), Example: problemExample(e.value),
		})
	}
}

// problemExample puts an example together: of every member that is the problem's
// own, what it always is, or its first example.
func problemExample(n node) string {
	var lines []string
	for _, e := range n.get("properties").entries() {
		shown := e.value.get("const")
		if examples := e.value.get("examples").items(); len(examples) > 0 {
			shown = examples[0]
		}
		if shown.is() {
			lines = append(lines, quote(e.key)+": "+jsonText(shown, "\n  "))
		}
	}
	return "{\n  " + strings.Join(lines, ",\n  ") + "\n}"
}

func problemLinks(schema node) []link {
	var list []link
	for _, n := range schema.problems() {
		list = append(list, link{n.slug(), n.slug()})
	}
	return list
}
