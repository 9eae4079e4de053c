package contract

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/sluice-gems/sluice/internal/openapi"
)

// place is a place in the description.
type place struct {
	at, root any
	pointer  string
}

// get returns what is below, after following references.
func (p place) get(keys ...string) place {
	for _, key := range keys {
		next := place{root: p.root, pointer: p.pointer + "/" + url.PathEscape(strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1"))}
		switch at := p.at.(type) {
		case map[string]any:
			next.at = at[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err == nil && i < len(at) {
				next.at = at[i]
			}
		}
		p = next
		if object, ok := p.at.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok {
				p = place{at: p.root, root: p.root}.get(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			}
		}
	}
	return p
}

// keys returns the names of an object's members, or the indexes of a list.
func (p place) keys() []string {
	var keys []string
	switch at := p.at.(type) {
	case map[string]any:
		for key := range at {
			keys = append(keys, key)
		}
	case []any:
		for i := range at {
			keys = append(keys, fmt.Sprint(i))
		}
	}
	return keys
}

func (p place) text() string {
	text, _ := p.at.(string)
	return text
}

// problems returns which problems a schema allows, wherever in it they are.
func (p place) problems() []string {
	if slug, ok := strings.CutPrefix(p.get("properties", "type", "const").text(), openapi.ProblemBase); ok {
		return []string{slug}
	}
	var found []string
	for _, within := range []string{"oneOf", "properties"} {
		for _, key := range p.get(within).keys() {
			found = append(found, p.get(within, key).problems()...)
		}
	}
	if items := p.get("items"); items.at != nil {
		found = append(found, items.problems()...)
	}
	return found
}
