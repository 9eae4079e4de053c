package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// WebhookFaults are what goes wrong on purpose with webhooks. The zero value sends
// every event once, at once. A share is the part of the events, 0 to 1, that a
// seeded die chooses.
type WebhookFaults struct {
	Lose      float64       // share that is never sent, as if every attempt had failed
	Duplicate float64       // share that is sent again although it was taken
	Reorder   float64       // share that is sent after the event that follows it, or after five seconds
	Delay     time.Duration // before the first attempt
	Jitter    time.Duration // up to this much more, evenly spread: so events overtake each other, too
}

// Validate returns every mistake at once, by the names of the control side.
func (f WebhookFaults) Validate() error {
	var errs []error
	for name, share := range map[string]float64{"lose": f.Lose, "duplicate": f.Duplicate, "reorder": f.Reorder} {
		if !(share >= 0 && share <= 1) { // NaN, too
			errs = append(errs, fmt.Errorf("%s is %v: use a share of the events, 0 to 1", name, share))
		}
	}
	if f.Delay < 0 || f.Delay > delayMax || f.Jitter < 0 || f.Jitter > delayMax {
		errs = append(errs, fmt.Errorf("delay %s, jitter %s: use 0s to %s", f.Delay, f.Jitter, delayMax))
	}
	return errors.Join(errs...)
}

// wireWebhookFaults is the JSON form: durations are readable.
type wireWebhookFaults struct {
	Lose      float64 `json:"lose"`
	Duplicate float64 `json:"duplicate"`
	Reorder   float64 `json:"reorder"`
	Delay     string  `json:"delay"`
	Jitter    string  `json:"jitter"`
}

func (f WebhookFaults) wire() wireWebhookFaults {
	return wireWebhookFaults{f.Lose, f.Duplicate, f.Reorder, f.Delay.String(), f.Jitter.String()}
}

// MarshalJSON writes every member.
func (f WebhookFaults) MarshalJSON() ([]byte, error) { return json.Marshal(f.wire()) }

// UnmarshalJSON changes the members that data names and keeps the others. A member
// it does not know is an error.
func (f *WebhookFaults) UnmarshalJSON(data []byte) error {
	wire := f.wire()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wire); err != nil {
		return err
	}
	delay, err := time.ParseDuration(wire.Delay)
	if err != nil {
		return fmt.Errorf("delay: %w", err)
	}
	jitter, err := time.ParseDuration(wire.Jitter)
	if err != nil {
		return fmt.Errorf("jitter: %w", err)
	}
	*f = WebhookFaults{wire.Lose, wire.Duplicate, wire.Reorder, delay, jitter}
	return nil
}

// plan rolls the dice for one event. Every event rolls every die.
func (f WebhookFaults) plan(dice *rand.Rand) plan {
	p := plan{lost: dice.Float64() < f.Lose, twice: dice.Float64() < f.Duplicate, behind: dice.Float64() < f.Reorder, delay: f.Delay}
	p.delay += time.Duration(dice.Float64() * float64(f.Jitter))
	return p
}

// WebhookFaults returns the faults that are on.
func (s *Simulator) WebhookFaults() WebhookFaults {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return s.hooks.faults
}

// SetWebhookFaults replaces all faults of webhooks, for the events to come. It panics
// on faults that are not valid: that is a mistake in the test.
func (s *Simulator) SetWebhookFaults(f WebhookFaults) {
	if err := f.Validate(); err != nil {
		panic("simulator: " + err.Error())
	}
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.faults = f
}
