package openapi

import (
	"fmt"
	"html/template"
	"strings"
)

// member is one of an object, a parameter, or a header.
type member struct {
	Name     string
	Where    string // of a parameter: header or path
	Type     string
	Links    []link // what the type refers to
	Required bool
	About    template.HTML
	Example  string
}

// link leads to another place of the page.
type link struct{ ID, Text string }

// ProblemBase begins the type of every problem.
const ProblemBase = "https://sluice.dev/problems/"

// slug returns the last part of the type of the problem that a schema describes,
// "" when it describes something else.
func (n node) slug() string {
	slug, isProblem := strings.CutPrefix(n.get("properties", "type", "const").text(), ProblemBase)
	if !isProblem {
		return ""
	}
	return slug
}

// problems returns the problems that a schema allows, wherever in it they are.
func (n node) problems() []node {
	if n.slug() != "" {
		return []node{n}
	}
	var found []node
	for _, key := range []string{"oneOf", "properties"} {
		for _, item := range n.get(key).items() {
			found = append(found, item.problems()...)
		}
		for _, e := range n.get(key).entries() {
			found = append(found, e.value.problems()...)
		}
	}
	if items := n.get("items"); items.is() {
		found = append(found, items.problems()...)
	}
	return found
}

// members returns an object's.
func (p *page) members(object node) []member {
	var list []member
	for _, e := range object.get("properties").entries() {
		m := member{Name: e.key, Required: object.get("required").has(e.key), About: p.prose(e.value.about())}
		m.Type, m.Links = p.typeOf(e.value)
		list = append(list, m)
	}
	return list
}

// typeOf says what a value is, and what it refers to.
func (p *page) typeOf(n node) (text string, links []link) {
	switch {
	case n.name != "" && n.get("properties").is():
		p.need(n.name)
		return "", []link{{n.name, n.name}}
	case n.get("oneOf").is():
		return "one of the problems", problemLinks(n)
	case n.get("const").is():
		return "always " + jsonLine(n.get("const"), "", ""), nil
	case n.get("enum").is():
		var words []string
		for _, item := range n.get("enum").items() {
			words = append(words, item.text())
		}
		return "one of " + strings.Join(words, ", "), nil
	case n.get("type").text() == "array" && !n.get("items").is():
		return "list", nil
	case n.get("type").text() == "array":
		text, links = p.typeOf(n.get("items"))
		return strings.TrimSpace("list" + limits(n, "minItems", "maxItems", ", ", " long,") + " of " + text), links
	case n.get("additionalProperties").is():
		text, links = p.typeOf(n.get("additionalProperties"))
		return strings.TrimSpace("object by currency, of " + text), links
	}
	if !n.get("type").is() {
		p.fail(fmt.Errorf("a schema of %q: the page cannot say what it is", n.about()))
	}
	return kind(n.get("type")) + format(n) +
		limits(n, "minLength", "maxLength", ", ", " characters") + limits(n, "minimum", "maximum", ", ", "") + standard(n), nil
}

// kind is a type, or several: string or null.
func kind(n node) string {
	var words []string
	for _, item := range n.items() {
		words = append(words, item.text())
	}
	if words == nil {
		return n.text()
	}
	return strings.Join(words, " or ")
}

func format(n node) string {
	switch n.get("format").text() {
	case "uuid":
		return ", a UUID"
	case "date-time":
		return ", a time"
	case "uri", "uri-reference":
		return ", a URI"
	}
	return ""
}

func standard(n node) string {
	if d := n.get("default"); d.is() {
		return ", " + d.text() + " if left out"
	}
	return ""
}

// limits says between which bounds something is.
func limits(n node, least, most, lead, unit string) string {
	low, high := thousands(n.get(least).text()), thousands(n.get(most).text())
	switch {
	case low != "" && high != "":
		return lead + low + " to " + high + unit
	case low != "":
		return lead + low + " or more" + unit
	case high != "":
		return lead + "up to " + high + unit
	}
	return ""
}

// thousands writes a number as people read it: 2,000,000,000.
func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
