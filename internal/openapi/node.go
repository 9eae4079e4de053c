package openapi

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a place in the description. It keeps the order in which things are
// written, and follows references. The zero node is one that is not there: it is
// empty, whatever it is asked.
type node struct {
	at   *yaml.Node
	root *yaml.Node
	name string // of the component that a reference led to; "": it stands in its place
	note string // a description beside the reference, which counts more than the component's
}

// parse reads a description.
func parse(raw []byte) (node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return node{}, fmt.Errorf("openapi.yaml: %w", err)
	}
	if len(document.Content) != 1 {
		return node{}, fmt.Errorf("openapi.yaml: it is empty")
	}
	root := document.Content[0]
	return node{at: root, root: root}, nil
}

// to returns the node at a place below or referred to from n.
func (n node) to(at *yaml.Node) node {
	next := node{at: at, root: n.root}
	for {
		switch {
		case next.at == nil:
			return node{}
		case next.at.Kind == yaml.AliasNode:
			next.at = next.at.Alias
			continue
		}
		ref := value(next.at, "$ref")
		if ref == nil {
			return next
		}
		if note := value(next.at, "description"); note != nil && next.note == "" {
			next.note = note.Value
		}
		path := strings.Split(strings.TrimPrefix(ref.Value, "#/"), "/")
		next.name, next.at = path[len(path)-1], n.root
		for _, key := range path {
			next.at = value(next.at, key)
		}
	}
}

// value returns a mapping's value, nil when there is none.
func value(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// get returns what is below n.
func (n node) get(keys ...string) node {
	for _, key := range keys {
		n = n.to(value(n.at, key))
	}
	return n
}

func (n node) is() bool { return n.at != nil }

// text returns a scalar's text.
func (n node) text() string {
	if n.at == nil {
		return ""
	}
	return strings.TrimSpace(n.at.Value)
}

// about returns the description of what is here.
func (n node) about() string {
	if n.note != "" {
		return n.note
	}
	return n.get("description").text()
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	value node
}

// entries returns a mapping's, in their order.
func (n node) entries() []entry {
	if n.at == nil || n.at.Kind != yaml.MappingNode {
		return nil
	}
	var list []entry
	for i := 0; i < len(n.at.Content); i += 2 {
		list = append(list, entry{n.at.Content[i].Value, n.to(n.at.Content[i+1])})
	}
	return list
}

// items returns a list's.
func (n node) items() []node {
	if n.at == nil || n.at.Kind != yaml.SequenceNode {
		return nil
	}
	list := make([]node, len(n.at.Content))
	for i, item := range n.at.Content {
		list[i] = n.to(item)
	}
	return list
}

// has reports whether a list has a text.
func (n node) has(text string) bool {
	for _, item := range n.items() {
		if item.text() == text {
			return true
		}
	}
	return false
}
