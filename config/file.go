package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file applies the YAML file at path.
func (l *loader) file(path string) {
	raw, err := l.readFile(path)
	if err != nil {
		l.problems = append(l.problems, fmt.Errorf("%s: %w: write the path of a readable YAML file", fileVariable, err))
		return
	}
	d := &document{name: path}
	if top := d.open(raw); top != nil {
		l.mapping(d, top, "", make(map[string]int))
	}
	l.problems = append(l.problems, d.problems...)
}

// mapping applies one level of the file. set remembers on which line a setting
// was given, so that secret and secret_file together are noticed.
func (l *loader) mapping(d *document, node *yaml.Node, path string, set map[string]int) {
	for _, f := range d.fields(node, path) {
		if isGroup(f.path) {
			l.mapping(d, f.value, f.path, set)
			continue
		}
		v, fromFile, ok := byKey(f.path)
		if !ok {
			d.unknown(f, fileKeys())
			continue
		}
		place := fmt.Sprintf("%s:%d: %s (%s)", d.name, f.line, f.path, v.Name)
		found := len(d.problems)
		values := l.values(d, f, v, fromFile)
		if len(d.problems) > found {
			l.config.unread = append(l.config.unread, v.Name)
		}
		if len(values) == 0 {
			continue
		}
		if line, both := set[v.Name]; both {
			l.unreadable(v, fmt.Errorf("%s: %s was set on line %d already: keep one", place, v.Key, line))
			continue
		}
		set[v.Name] = f.line
		if fromFile {
			l.applyFile(v, place, values[0])
		} else {
			l.apply(v, place, values)
		}
	}
}

// values returns what a key was given, or nothing when it is empty.
func (l *loader) values(d *document, f entry, v Variable, fromFile bool) []string {
	if v.List && !fromFile {
		return d.list(f)
	}
	if value, ok := d.scalar(f); ok {
		return []string{value}
	}
	return nil
}

// byKey finds a setting by its YAML key, or by the key of its file.
func byKey(key string) (v Variable, fromFile, ok bool) {
	for _, v := range table {
		switch {
		case v.Key == "":
		case v.Key == key:
			return v, false, true
		case v.Secret && v.fileKey() == key:
			return v, true, true
		}
	}
	return Variable{}, false, false
}

// isGroup reports whether settings lie below a key.
func isGroup(key string) bool {
	return slices.ContainsFunc(table, func(v Variable) bool { return strings.HasPrefix(v.Key, key+".") })
}

// fileKeys lists every key of the file, groups included.
func fileKeys() []string {
	var out []string
	for _, v := range table {
		if v.Key == "" {
			continue
		}
		if group, _, nested := strings.Cut(v.Key, "."); nested && !slices.Contains(out, group) {
			out = append(out, group)
		}
		out = append(out, v.Key)
		if v.Secret {
			out = append(out, v.fileKey())
		}
	}
	return out
}
