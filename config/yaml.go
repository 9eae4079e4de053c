package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is a YAML file and the problems found in it. It is walked as nodes
// rather than decoded into structs, because a node knows its line and a struct
// stops at its first unknown key.
type document struct {
	name     string
	problems []error
}

// entry is one key of a mapping with its value.
type entry struct {
	path  string // dotted, from the top of the file
	name  string
	line  int
	value *yaml.Node
}

// quoted matches what the YAML library repeats of the file in its messages.
var quoted = regexp.MustCompile(`'[^']*'`)

// open parses a file and returns its top node, nil when it is empty or broken.
func (d *document) open(raw []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var top, second yaml.Node
	if err := decoder.Decode(&top); err != nil {
		if !errors.Is(err, io.EOF) {
			// A secret that begins with * or & reads as an alias: do not repeat it.
			d.problems = append(d.problems, fmt.Errorf("%s: %s", d.name, quoted.ReplaceAllString(err.Error(), "'...'")))
		}
		return nil
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		d.problem(second.Line, "a second document or broken text follows: keep one document, without a line of ---")
	}
	return top.Content[0]
}

func (d *document) problem(line int, format string, args ...any) {
	place := d.name
	if line > 0 {
		place = fmt.Sprintf("%s:%d", d.name, line)
	}
	d.problems = append(d.problems, fmt.Errorf("%s: "+format, append([]any{place}, args...)...))
}

// fields returns the entries of a mapping in the order of the file. It reports
// what is no mapping, and keys that appear twice: the later would silently win.
func (d *document) fields(node *yaml.Node, path string) []entry {
	node = resolved(node)
	if node == nil || isNull(node) {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		d.problem(node.Line, "%s must hold keys: write them below it, indented", pathOrTop(path))
		return nil
	}
	first := make(map[string]int)
	var out []entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		f := entry{path: join(path, key.Value), name: key.Value, line: key.Line, value: resolved(node.Content[i+1])}
		if line, twice := first[f.name]; twice {
			d.problem(f.line, "%s appears twice, first on line %d: keep one", f.path, line)
			continue
		}
		first[f.name] = f.line
		out = append(out, f)
	}
	return out
}

// unknown reports a key that does not exist, with the nearest that does.
func (d *document) unknown(f entry, known []string) {
	d.problem(f.line, "%s is not a known key: the nearest known one is %s", f.path, nearest(f.path, known))
}

// scalar returns a plain value; ok is false for an empty one, and for a list or
// mapping, which it reports.
func (d *document) scalar(f entry) (value string, ok bool) {
	if isNull(f.value) {
		return "", false
	}
	if f.value.Kind != yaml.ScalarNode {
		d.problem(f.line, "%s must be a single value, not a list or keys", f.path)
		return "", false
	}
	return f.value.Value, f.value.Value != ""
}

// list returns the entries of a sequence, or of a comma separated value.
func (d *document) list(f entry) []string {
	if f.value.Kind != yaml.SequenceNode {
		value, _ := d.scalar(f)
		return splitList(value)
	}
	var out []string
	for i, node := range f.value.Content {
		at := entry{path: fmt.Sprintf("%s[%d]", f.path, i), line: node.Line, value: resolved(node)}
		if value, ok := d.scalar(at); ok {
			out = append(out, value)
		}
	}
	return out
}

func resolved(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

func pathOrTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
