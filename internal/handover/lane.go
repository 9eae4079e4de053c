package handover

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// slotWait is how long a request waits for a free slot before it is sent away.
	// As many may wait as there are slots, so that slots are not idle between a
	// burst's end and the return of those who were sent away.
	slotWait = time.Second
	// awaySpacing is how far apart those come back who meet an open circuit: 20 a
	// second and process cost others next to nothing, however many there are. When
	// the endpoint is back they need not wait for their time, see Config.Returned.
	awaySpacing = 50 * time.Millisecond
	// tookFirst is what a request is taken to last before any has ended, and
	// tookWeight how much the latest counts in the average.
	tookFirst  = 50 * time.Millisecond
	tookWeight = 0.1
)

// lane is how much one endpoint may have in hand, and who must come back when.
type lane struct {
	slots    chan struct{}
	now      func() time.Time
	returned func() // the circuit has closed

	mu      sync.Mutex
	waiting int // for a slot
	circuit circuit
	line    time.Time     // when the last of those who were sent away may come back
	took    time.Duration // what a request lasts, on average
}

// RequestMax is the longest that a caller waits for one request: for a slot, and for the
// answer.
func RequestMax(timeout time.Duration) time.Duration { return slotWait + timeout }

func newLane(slots int, now func() time.Time, returned func()) *lane {
	return &lane{slots: make(chan struct{}, slots), now: now, returned: returned, took: tookFirst}
}

// pass is the right to make one request. It must be given back.
type pass struct {
	lane    *lane
	probe   bool
	started time.Time
}

// enter returns a pass, or why there is none and when to come back. why is for
// metrics: circuit or busy.
func (l *lane) enter(ctx context.Context) (p *pass, refused Outcome, why string) {
	l.mu.Lock()
	refused, open := l.away()
	l.mu.Unlock()
	if open {
		return nil, refused, "circuit"
	}
	if refused, full := l.takeSlot(ctx); full {
		return nil, refused, "busy"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if refused, open := l.away(); open { // it opened while we waited
		<-l.slots
		return nil, refused, "circuit"
	}
	l.circuit.admit()
	return &pass{lane: l, probe: l.circuit.open, started: l.now()}, Outcome{}, ""
}

// away sends a request away while the circuit lets nothing through. All of them
// come back one after the other. The caller holds mu.
func (l *lane) away() (Outcome, bool) {
	now := l.now()
	wait := l.circuit.wait(now)
	if wait == 0 {
		return Outcome{}, false
	}
	return Outcome{Kind: Failed, Park: true, After: l.next(now, now.Add(wait), awaySpacing), Detail: "not asked, since it failed: " + cmp.Or(l.circuit.last, "it asked for a pause")}, true
}

// takeSlot waits a moment for a slot. Those who find no room to wait come back
// when there should be one, by what requests last.
func (l *lane) takeSlot(ctx context.Context) (refused Outcome, full bool) {
	select {
	case l.slots <- struct{}{}:
		return Outcome{}, false
	default:
	}
	l.mu.Lock()
	room := l.waiting < cap(l.slots)
	if room {
		l.waiting++
	}
	l.mu.Unlock()
	if room {
		defer func() {
			l.mu.Lock()
			l.waiting--
			l.mu.Unlock()
		}()
		patience := time.NewTimer(slotWait)
		defer patience.Stop()
		select {
		case l.slots <- struct{}{}:
			return Outcome{}, false
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	spacing := l.took / time.Duration(cap(l.slots))
	return Outcome{
		Kind: Later, After: max(l.next(now, now, spacing), time.Millisecond),
		Detail: fmt.Sprintf("not asked: %d requests are under way already", cap(l.slots)),
	}, true
}

// next is the place in the line of those who come back, not before at.
func (l *lane) next(now, at time.Time, spacing time.Duration) time.Duration {
	if l.line.Before(at) {
		l.line = at
	}
	l.line = l.line.Add(spacing)
	return l.line.Sub(now)
}

// leave gives the pass back with what came of the request.
func (p *pass) leave(o Outcome) {
	l := p.lane
	l.mu.Lock()
	now := l.now()
	wasOpen := l.circuit.open
	l.circuit.note(o, p.probe, now)
	back := wasOpen && !l.circuit.open
	if back {
		l.line = now
	}
	if o.definite() {
		l.took += time.Duration(tookWeight * float64(now.Sub(p.started)-l.took))
	}
	l.mu.Unlock()
	<-l.slots
	if back {
		l.returned()
	}
}
