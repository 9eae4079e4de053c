package openapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"go.yaml.in/yaml/v3"
)

// local is where `make run` serves, so that the page's commands can be pasted.
const local = "http://127.0.0.1:8080"

// lineMax is up to which length an object or a list stays on one line.
const lineMax = 64

// jsonText writes an example as JSON that people can read, its members in the
// order in which they are written. newline begins every line but the first.
func jsonText(n node, newline string) string {
	line := jsonLine(n, ": ", ", ")
	if len(line) <= lineMax {
		return line
	}
	var parts []string
	inner := newline + "  "
	for _, e := range n.entries() {
		parts = append(parts, quote(e.key)+": "+jsonText(e.value, inner))
	}
	for _, item := range n.items() {
		parts = append(parts, jsonText(item, inner))
	}
	if parts == nil { // a scalar
		return line
	}
	return line[:1] + inner + strings.Join(parts, ","+inner) + newline + line[len(line)-1:]
}

// jsonLine writes it on one line.
func jsonLine(n node, colon, comma string) string {
	var parts []string
	switch n.at.Kind {
	case yaml.MappingNode:
		for _, e := range n.entries() {
			parts = append(parts, quote(e.key)+colon+jsonLine(e.value, colon, comma))
		}
		return "{" + strings.Join(parts, comma) + "}"
	case yaml.SequenceNode:
		for _, item := range n.items() {
			parts = append(parts, jsonLine(item, colon, comma))
		}
		return "[" + strings.Join(parts, comma) + "]"
	default:
		if n.at.Tag != "!!str" {
			return n.at.Value
		}
		return quote(n.text())
	}
}

// quote writes a JSON string that people can read: <, > and & stay.
func quote(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always encodes
	return strings.TrimSuffix(out.String(), "\n")
}

// curl writes a command that makes a call. body is JSON on one line, "" for none.
func curl(c call, body string) string {
	path := c.Path
	for _, p := range c.Parameters {
		path = strings.ReplaceAll(path, "{"+p.Name+"}", p.Example)
	}
	command := "curl -s "
	if body == "" && c.Method != http.MethodGet { // with a body curl sends POST by itself
		command += "-X " + c.Method + " "
	}
	command += local + path
	if len(c.Who) > 0 {
		command += " \\\n  -H \"Authorization: Bearer $" + c.Who[0].Variable + `"`
	}
	if body != "" {
		command += " \\\n  -H 'Content-Type: application/json' \\\n  -d '" + strings.ReplaceAll(body, "'", `'\''`) + `'`
	}
	return command
}
