package handover

import (
	"cmp"
	"slices"
	"time"
)

// Trouble is what this process knows of an endpoint that does not answer as it should.
type Trouble struct {
	Endpoint string
	Circuit  int           // 0 closed, 1 half-open, 2 open: requests are held back until one was answered
	For      time.Duration // since the first of the failures in a row
	Failures int           // in a row
	Wait     time.Duration // until the next request may be sent; 0: now
	Last     string        // what became of the last request, in words without secrets
}

// Troubles returns the endpoints whose last request failed or whose circuit is open,
// sorted; none: all answer, or were not asked yet.
func (e *Endpoints) Troubles() []Trouble {
	var list []Trouble
	for name, endpoint := range e.byName {
		if trouble, is := endpoint.lane.trouble(); is {
			trouble.Endpoint = name
			list = append(list, trouble)
		}
	}
	slices.SortFunc(list, func(a, b Trouble) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return list
}

// trouble tells of the failures in a row; false: there are none.
func (l *lane) trouble() (Trouble, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, now := &l.circuit, l.now()
	if c.since.IsZero() {
		return Trouble{}, false
	}
	return Trouble{Circuit: c.state(now), For: now.Sub(c.since), Failures: c.run, Wait: max(0, c.until.Sub(now)), Last: c.last}, true
}
