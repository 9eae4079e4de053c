package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// delayMax bounds Delay and Jitter: more is a typing mistake.
const delayMax = 10 * time.Minute

// Faults are what goes wrong on purpose below /v2. The zero value is a provider
// in good health. A share is the part of the calls, 0 to 1, that a seeded die
// chooses. Order: down, brown-out, unauthorized, limits, FailBefore, Locked.
type Faults struct {
	FailBefore     float64       // share answered 500 or 503 before anything is applied
	LoseAnswer     float64       // share whose connection is cut after all work is done
	Locked         float64       // share of the writes answered 423
	TooMany        float64       // share of the limited domains' calls answered 429
	ReplayConflict float64       // share of the repeats of an applied transaction answered 409
	Delay          time.Duration // before the work of an accepted call; a write holds its customer meanwhile
	Jitter         time.Duration // up to this much more, evenly spread
	BrownOut       bool          // everything is 503
	Down           bool          // every connection is cut at once
	Unauthorized   bool          // everything is 401
	RatePerMinute  int           // calls a minute of each limited domain; 0: no limit
}

// Validate returns every mistake at once, by the names of the control side.
func (f Faults) Validate() error {
	var errs []error
	shares := []struct {
		name  string
		share float64
	}{
		{"fail_before", f.FailBefore}, {"lose_answer", f.LoseAnswer}, {"locked", f.Locked},
		{"too_many", f.TooMany}, {"replay_conflict", f.ReplayConflict},
	}
	for _, s := range shares {
		if !(s.share >= 0 && s.share <= 1) { // NaN, too
			errs = append(errs, fmt.Errorf("%s is %v: use a share of the calls, 0 to 1", s.name, s.share))
		}
	}
	if f.Delay < 0 || f.Delay > delayMax || f.Jitter < 0 || f.Jitter > delayMax {
		errs = append(errs, fmt.Errorf("delay %s, jitter %s: use 0s to %s", f.Delay, f.Jitter, delayMax))
	}
	if f.RatePerMinute < 0 {
		errs = append(errs, fmt.Errorf("rate_per_minute is %d: use 0 or more", f.RatePerMinute))
	}
	return errors.Join(errs...)
}

// wireFaults is the JSON form: durations are readable.
type wireFaults struct {
	FailBefore     float64 `json:"fail_before"`
	LoseAnswer     float64 `json:"lose_answer"`
	Locked         float64 `json:"locked"`
	TooMany        float64 `json:"too_many"`
	ReplayConflict float64 `json:"replay_conflict"`
	Delay          string  `json:"delay"`
	Jitter         string  `json:"jitter"`
	BrownOut       bool    `json:"brown_out"`
	Down           bool    `json:"down"`
	Unauthorized   bool    `json:"unauthorized"`
	RatePerMinute  int     `json:"rate_per_minute"`
}

func (f Faults) wire() wireFaults {
	return wireFaults{
		f.FailBefore, f.LoseAnswer, f.Locked, f.TooMany, f.ReplayConflict,
		f.Delay.String(), f.Jitter.String(), f.BrownOut, f.Down, f.Unauthorized, f.RatePerMinute,
	}
}

// MarshalJSON writes every member.
func (f Faults) MarshalJSON() ([]byte, error) { return json.Marshal(f.wire()) }

// UnmarshalJSON changes the members that data names and keeps the others. A
// member it does not know is an error: a typing mistake must not test nothing.
func (f *Faults) UnmarshalJSON(data []byte) error {
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
	*f = Faults{
		wire.FailBefore, wire.LoseAnswer, wire.Locked, wire.TooMany, wire.ReplayConflict,
		delay, jitter, wire.BrownOut, wire.Down, wire.Unauthorized, wire.RatePerMinute,
	}
	return nil
}

// roll is the luck of one call under the faults it came in with. Every call
// rolls every die, so that one fault more does not change the others' luck.
type roll struct {
	Faults
	failBefore, unavailable, loseAnswer, locked, tooMany, replayConflict bool
	delay                                                                time.Duration
}

func (f Faults) roll(dice *rand.Rand) roll {
	r := roll{Faults: f}
	r.failBefore = dice.Float64() < f.FailBefore
	r.unavailable = dice.Float64() < 0.5
	r.loseAnswer = dice.Float64() < f.LoseAnswer
	r.locked = dice.Float64() < f.Locked
	r.tooMany = dice.Float64() < f.TooMany
	r.replayConflict = dice.Float64() < f.ReplayConflict
	r.delay = f.Delay + time.Duration(dice.Float64()*float64(f.Jitter))
	return r
}

// Faults returns the faults that are on.
func (s *Simulator) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// SetFaults replaces all faults, for the calls that come in from now on. It
// panics on faults that are not valid: that is a mistake in the test.
func (s *Simulator) SetFaults(f Faults) {
	if err := f.Validate(); err != nil {
		panic("simulator: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}
