package rcwebhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

const (
	attributesMember = "subscriber_attributes"
	redacted         = `"[redacted]"`
	everyAttribute   = "*"
	// depthMax is where encoding/json stops, too: what is deeper is no event.
	depthMax = 10_000
)

// redact returns a body without the values of the named subscriber attributes; "*"
// is all of them. Every other byte stays as it came, so that the body says the same
// facts. A body that is not JSON stays as it is.
func redact(body []byte, names []string) []byte {
	if len(names) == 0 {
		return body
	}
	r := redactor{dec: json.NewDecoder(bytes.NewReader(body)), body: body, names: names}
	if err := r.value(false, 0); err != nil || r.out == nil {
		return body
	}
	return append(r.out, body[r.copied:]...)
}

// redactor walks a body and copies it, less what is hidden.
type redactor struct {
	dec    *json.Decoder
	body   []byte
	names  []string
	out    []byte // nil until something is hidden
	copied int64  // how much of body out has
}

var errTooDeep = errors.New("nested too deeply")

// value walks one value, whose members are attributes or not.
func (r *redactor) value(attributes bool, depth int) error {
	if depth > depthMax {
		return errTooDeep
	}
	token, err := r.dec.Token()
	if err != nil {
		return err
	}
	open, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	for r.dec.More() {
		inner := false
		if open == '{' {
			key, err := r.dec.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if attributes && (slices.Contains(r.names, name) || slices.Contains(r.names, everyAttribute)) {
				if err := r.hide(); err != nil {
					return err
				}
				continue
			}
			inner = name == attributesMember
		}
		if err := r.value(inner, depth+1); err != nil {
			return err
		}
	}
	_, err = r.dec.Token() // the end of the object or list
	return err
}

// hide puts a word in the place of the next value.
func (r *redactor) hide() error {
	var value json.RawMessage
	if err := r.dec.Decode(&value); err != nil {
		return err
	}
	end := r.dec.InputOffset()
	r.out = append(r.out, r.body[r.copied:end-int64(len(value))]...)
	r.out = append(r.out, redacted...)
	r.copied = end
	return nil
}
