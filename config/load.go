package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Load reads the configuration: defaults, then the YAML file that SLUICE_CONFIG
// names, then the environment, which wins. An empty value counts as unset in
// both. readFile reads the YAML file and the files that _FILE variants name.
//
// The error holds every problem, one a line. The Config beside it has what could
// be read and serves for Validate only, so that a program can report both at
// once; it must not be run with.
//
// Load cannot see variables that nobody asks for: LoadEnviron does.
func Load(getenv func(string) (string, bool), readFile func(string) ([]byte, error)) (Config, error) {
	l := loader{getenv: getenv, readFile: readFile, config: Default()}
	if path, ok := l.lookup(fileVariable); ok {
		l.config.File = path
		l.file(path)
	}
	for _, v := range table {
		if v.Name != fileVariable {
			l.environment(v)
		}
	}
	return l.config, errors.Join(l.problems...)
}

// LoadEnviron is Load over a whole environment as os.Environ returns it. It also
// reports every SLUICE_ variable that does not exist, with the nearest that does.
func LoadEnviron(environ []string, readFile func(string) ([]byte, error)) (Config, error) {
	values := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	c, err := Load(func(name string) (string, bool) { value, ok := values[name]; return value, ok }, readFile)
	return c, errors.Join(CheckEnviron(environ), err)
}

type loader struct {
	getenv   func(string) (string, bool)
	readFile func(string) ([]byte, error)
	config   Config
	problems []error
}

// lookup returns a variable that is set to something.
func (l *loader) lookup(name string) (string, bool) {
	value, ok := l.getenv(name)
	return value, ok && value != ""
}

// environment applies one variable, or its _FILE variant.
func (l *loader) environment(v Variable) {
	value, ok := l.lookup(v.Name)
	path, fromFile := "", false
	if v.Secret {
		path, fromFile = l.lookup(v.fileName())
	}
	switch {
	case ok && fromFile:
		l.unreadable(v, fmt.Errorf("%s: both it and %s are set: unset one", v, v.fileName()))
	case ok:
		l.apply(v, v.String(), split(v, value))
	case fromFile:
		l.applyFile(v, fmt.Sprintf("%s (%s)", v.fileName(), v.fileKey()), path)
	}
}

// applyFile applies the content of a secret's file, less one trailing newline.
// place is how a problem names where it was set.
func (l *loader) applyFile(v Variable, place, path string) {
	value, err := readSecret(l.readFile, path)
	if err != nil {
		l.unreadable(v, fmt.Errorf("%s: %w", place, err))
		return
	}
	l.apply(v, place, split(v, value))
	if v.file != nil {
		*v.file(&l.config) = path
	}
}

// readSecret returns the content of a secret's file, less one trailing newline.
func readSecret(readFile func(string) ([]byte, error), path string) (string, error) {
	raw, err := readFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: write the path of a readable file that holds the value", err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
	if value == "" {
		return "", fmt.Errorf("%s is empty: write the value into it", path)
	}
	return value, nil
}

// apply parses values into v's field. place is how a problem names where they
// were set.
func (l *loader) apply(v Variable, place string, values []string) {
	if !v.List && len(values) != 1 {
		panic("config: one value expected for " + v.Name)
	}
	if v.file != nil {
		*v.file(&l.config) = "" // the value wins over a file that was named before
	}
	if err := set(v.field(&l.config), values); err != nil {
		for _, problem := range joined(err) {
			l.unreadable(v, fmt.Errorf("%s: %w", place, problem))
		}
	}
}

func (l *loader) unreadable(v Variable, problem error) {
	l.problems = append(l.problems, problem)
	if !slices.Contains(l.config.unread, v.Name) {
		l.config.unread = append(l.config.unread, v.Name)
	}
}

func split(v Variable, value string) []string {
	if v.List {
		return splitList(value)
	}
	return []string{value}
}

// joined returns the errors that errors.Join put together, or err alone.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}
