package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// masked is what stands in the place of a secret wherever it is printed.
const masked = "***"

// Secret is a value that does not leave through printing: every verb of fmt,
// slog, JSON, YAML and text marshalling show *** instead. An unset secret shows
// as nothing, so that it can be told from a set one. Only Reveal returns it.
//
// The value lies behind a pointer because fmt cannot call methods on unexported
// fields: there it would print the plain bytes, and prints an address instead.
type Secret struct {
	value *string
}

// NewSecret wraps a value; the empty string is the unset Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value itself, for the one call that needs it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// String returns *** or, when unset, nothing.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return masked
}

// GoString is the form of %#v: the masked value in quotes.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Format serves every verb, so that none reaches the value.
func (s Secret) Format(f fmt.State, verb rune) { formatMasked(f, verb, s.String()) }

// LogValue is the form in slog records.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON returns the masked value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText returns the masked value, for XML, map keys and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML returns the masked value.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

func formatMasked(f fmt.State, verb rune, text string) {
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}
