package budget

import (
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

const (
	// runMax failures in a row, over at least runTime, open the circuit. A provider
	// that fails two calls of three is worth calling: runs of 15 come once in 500.
	runMax  = 15
	runTime = time.Second
	// shareFailed of the calls of shareSpan, when there were shareMin, does it, too:
	// a lucky answer now and then is not health.
	shareFailed = 0.9
	shareMin    = 40
	shareSpan   = 10 * time.Second

	// openFirst is how long the circuit stays open at first; every failed probe
	// doubles it, up to openMax. With slowStart after it, and the retries of those
	// who were sent away, everything is final within a minute of the provider's return.
	openFirst = time.Second
	openMax   = 15 * time.Second

	// probeTime bounds a probe, and probeLease, which is longer, keeps others from
	// sending one meanwhile. A process that dies with the probe costs as much.
	probeTime  = 8 * time.Second
	probeLease = 10 * time.Second
	// probeWait is when to come back for those who meet somebody else's probe.
	probeWait = time.Second
)

// verdictOf says what a call tells about the provider's health. A refusal of any
// kind, 429 included, is a sign of life.
func verdictOf(call revenuecat.Call) health {
	switch {
	case call.Status == 0 && call.GaveUp:
		return noWord
	case call.Status == 0, call.Status >= http.StatusInternalServerError, call.Status == http.StatusRequestTimeout:
		return failed
	}
	return alive
}

// health is what one call tells about the provider.
type health int

const (
	noWord health = iota
	alive
	failed
)

// failures is the record of one process's calls while the circuit is closed. It
// is pure: now is passed in.
type failures struct {
	run     int
	since   time.Time // when the run began
	seconds [int(shareSpan / time.Second)]tally
}

// tally counts the calls of one second.
type tally struct{ second, calls, failed int64 }

// note counts a call and reports whether the circuit is to open.
func (f *failures) note(h health, now time.Time) bool {
	if h == noWord {
		return false
	}
	second := now.Unix()
	t := &f.seconds[second%int64(len(f.seconds))]
	if t.second != second {
		*t = tally{second: second}
	}
	t.calls++
	if h == alive {
		f.run = 0
		return false
	}
	t.failed++
	if f.run == 0 {
		f.since = now
	}
	f.run++
	return f.run >= runMax && now.Sub(f.since) >= runTime || f.mostFailed(second)
}

func (f *failures) mostFailed(second int64) bool {
	var calls, failed int64
	for _, t := range f.seconds {
		if second-t.second < int64(len(f.seconds)) {
			calls, failed = calls+t.calls, failed+t.failed
		}
	}
	return calls >= shareMin && float64(failed) >= shareFailed*float64(calls)
}

// breaker is what this process knows of the shared circuit.
type breaker struct {
	version  int64
	open     bool
	probeAt  time.Time // by this process's clock; open: no probe before
	probing  bool      // a probe is under way
	claiming bool      // somebody in this process asks for the probe, or has it
	failures failures
}

// circuitState is the shared circuit as PostgreSQL tells it, times as durations.
type circuitState struct {
	Version int64  `json:"version" db:"circuit_version"`
	Open    bool   `json:"open" db:"circuit_open"`
	Probing bool   `json:"probing" db:"circuit_probing"`   // somebody's probe is under way
	ProbeMS int64  `json:"probe_ms" db:"circuit_probe_ms"` // until a probe, or another one, may be sent
	Reason  string `json:"-" db:"circuit_reason"`
}

// learn takes over what is newer than what is known.
func (c *breaker) learn(s circuitState, now time.Time) {
	if s.Version < c.version {
		return
	}
	if c.open && !s.Open {
		c.failures = failures{}
	}
	c.version, c.open, c.probing = s.Version, s.Open, s.Probing
	c.probeAt = now.Add(time.Duration(s.ProbeMS) * time.Millisecond)
}

// wait is how long the circuit lets nothing through; 0: it is closed, or a probe
// may be asked for.
func (c *breaker) wait(now time.Time) time.Duration {
	if !c.open {
		return 0
	}
	return max(0, c.probeAt.Sub(now))
}

// refusal is what those hear who meet an open circuit; nil: they do not.
func (c *breaker) refusal(domain revenuecat.Domain, now time.Time) *NotYet {
	wait := c.wait(now)
	switch {
	case wait == 0:
		return nil
	case c.probing:
		return &NotYet{Domain: domain, After: min(wait, probeWait), Why: whyProbing}
	}
	return &NotYet{Domain: domain, After: wait, Why: whyCircuit}
}
