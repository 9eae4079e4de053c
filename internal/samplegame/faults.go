package samplegame

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// delayMax bounds a delay: more is a typing mistake.
const delayMax = 10 * time.Minute

// Faults are what goes wrong on purpose. The zero value is a server as it should be.
// The first ones are an honest server's bad days, the others are mistakes of whoever
// wrote it.
type Faults struct {
	Down       bool     `json:"down"`        // every connection is cut at once
	Delay      Duration `json:"delay"`       // before the work, which is done even when nobody waits for the answer any more
	FailBefore float64  `json:"fail_before"` // share answered 503 before any work
	LoseAnswer float64  `json:"lose_answer"` // share whose connection is cut after all work is done
	Refuse     bool     `json:"refuse"`      // every grant that was not made yet is refused for good
	Keep       bool     `json:"keep"`        // what was granted is not taken back: it is used

	HollowGrant   bool `json:"hollow_grant"`   // a grant is answered with granted, and nothing is done
	HollowRevoke  bool `json:"hollow_revoke"`  // a revoke is answered with revoked, and nothing is done
	ForgetRevoked bool `json:"forget_revoked"` // a grant after a revoke is made
	GrantTwice    bool `json:"grant_twice"`    // a repeated grant gives the item again
	SkipSignature bool `json:"skip_signature"` // nobody looks at the signature
	SkipTimestamp bool `json:"skip_timestamp"` // nobody looks at the age of a request
	OtherSpend    bool `json:"other_spend"`    // answers name another spend
}

// Duration is a time.Duration that JSON writes as "50ms".
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// merge returns the faults with the members of raw in place. A member that does not
// exist is an error: a typing mistake must not test nothing.
func (f Faults) merge(raw []byte) (Faults, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return Faults{}, err
	}
	for name, share := range map[string]float64{"fail_before": f.FailBefore, "lose_answer": f.LoseAnswer} {
		if !(share >= 0 && share <= 1) {
			return Faults{}, fmt.Errorf("%s is %v: use a share of the requests, 0 to 1", name, share)
		}
	}
	if d := time.Duration(f.Delay); d < 0 || d > delayMax {
		return Faults{}, fmt.Errorf("delay is %s: use 0s to %s", d, delayMax)
	}
	return f, nil
}
