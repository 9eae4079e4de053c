package config

import "log/slog"

// Setting is one value in effect, safe to show.
type Setting struct {
	Variable string `json:"variable"`
	Key      string `json:"key"`     // empty: only in the environment
	Value    string `json:"value"`   // secrets and passwords masked; empty: unset
	Default  bool   `json:"default"` // it is the default
}

// Redacted returns every setting in the order of Variables, secrets masked, for
// a log line or the console.
func (c Config) Redacted() []Setting {
	out := make([]Setting, 0, len(table))
	for _, v := range Variables() {
		value := show(v.field(&c))
		out = append(out, Setting{Variable: v.Name, Key: v.Key, Value: value, Default: value == v.Default})
	}
	return out
}

// LogValue is the form in slog records: what differs from the defaults, by
// variable, secrets masked.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range c.Redacted() {
		if !s.Default {
			attrs = append(attrs, slog.String(s.Variable, s.Value))
		}
	}
	return slog.GroupValue(attrs...)
}
