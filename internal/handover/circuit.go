package handover

import "time"

const (
	// runMax failures in a row open the circuit. An endpoint that fails every other
	// request is worth asking: it comes to ten in a row once in a thousand times.
	runMax = 10
	// openFirst is how long the circuit stays open at first; every failed probe
	// doubles it, up to openMax.
	openFirst = time.Second
	openMax   = 15 * time.Second
)

// circuit is the record of one endpoint in one process. It is pure: now is passed
// in. A request that the circuit admits while it is open is a probe, one at a time.
type circuit struct {
	run     int       // failures in a row
	since   time.Time // when the first of them ended; zero: the last answer was definite, and the circuit is closed
	last    string    // what became of the last of them, in words
	open    bool      // closed again by a definite answer only
	openFor time.Duration
	until   time.Time // open: no probe before. Closed: the end of a pause it asked for
	probing bool
}

// wait returns how long nothing may be asked; 0: something may.
func (c *circuit) wait(now time.Time) time.Duration {
	if c.open && c.probing {
		return max(c.until.Sub(now), openFirst)
	}
	return max(0, c.until.Sub(now))
}

// admit lets a request through after wait has said 0.
func (c *circuit) admit() { c.probing = c.open }

// note takes what came of a request that was let through. probe says that the
// circuit was open when it was.
func (c *circuit) note(o Outcome, probe bool, now time.Time) {
	if probe {
		c.probing = false
	}
	switch {
	case o.Kind == Later: // the caller gave up: no word about the endpoint
	case o.definite() && probe:
		*c = circuit{}
	case o.definite():
		c.run = 0 // one that was long under way does not close an open circuit
		if !c.open {
			c.since, c.last = time.Time{}, ""
		}
	default:
		c.failed(o, probe, now)
	}
}

func (c *circuit) failed(o Outcome, probe bool, now time.Time) {
	c.run++
	if c.last = o.Detail; c.since.IsZero() {
		c.since = now
	}
	switch {
	case probe:
		c.openFor = min(2*c.openFor, openMax)
		c.until = now.Add(c.openFor)
	case !c.open && c.run >= runMax:
		c.open, c.openFor = true, openFirst
		c.until = now.Add(openFirst)
	}
	if pause := now.Add(o.After); o.After > 0 && pause.After(c.until) {
		c.until = pause
	}
}

// state is 0 closed, 1 half-open, 2 open, as the circuit of the provider's metric.
func (c *circuit) state(now time.Time) int {
	switch {
	case !c.open:
		return 0
	case c.wait(now) == 0 || c.probing:
		return 1
	}
	return 2
}
