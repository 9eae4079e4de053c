package revenuecat

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"time"
)

// label is a text that may come as a bare number; null is none.
type label string

// UnmarshalJSON implements json.Unmarshaler.
func (l *label) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(l))
	}
	var number json.Number
	if json.Unmarshal(raw, &number) != nil {
		return errors.New("neither text nor number")
	}
	*l = label(number)
	return nil
}

// moment is a time in milliseconds since 1970; null and 0 are none.
type moment int64

// momentMax is the year 5138: more is not milliseconds.
const momentMax = 1e14

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var f float64 // exact for every whole number up to 2^53
	if json.Unmarshal(raw, &f) != nil || f != math.Trunc(f) || f < 0 || f > momentMax {
		return errors.New("not a time in milliseconds")
	}
	*m = moment(f)
	return nil
}

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}
