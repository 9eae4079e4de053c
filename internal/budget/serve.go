package budget

import "time"

// serve hands out what was granted, sends away whom a lease within the horizon
// will not reach, and returns when to come again.
func (d *desk) serve(k ask, g grant, sentAt time.Time) time.Duration {
	b := d.budget
	now := b.config.Now()
	d.room = g.room
	good := sentAt.Add(b.config.Lease)
	if !b.hearing {
		good = sentAt.Add(min(deafLease, b.config.Lease))
	}
	if now.Before(d.closedUntil) { // a notice came while the lease was under way
		d.giveBack(g.until, g.calls.total()+g.extra)
		g.calls, g.extra = perWeight{}, 0
	}
	spare := g.extra
	permit := Permit{desk: d, until: g.until, good: good}
	for _, weight := range urgent {
		for range g.calls[weight] {
			if !d.hand(weight, permit, now) {
				spare++ // whoever it was for gave up: the most urgent has it
			}
		}
	}
	for range spare {
		if !d.handAny(permit, now) {
			d.ready = append(d.ready, permit)
		}
	}
	d.turnAway(k, g)
	wait := min(max(time.Duration(g.wait)*time.Millisecond, b.config.Lease/10), b.config.Lease)
	if k.calls.total() > g.calls.total() {
		d.again = now.Add(wait)
	}
	if d.line.calls().total() == 0 {
		if len(d.ready) > 0 {
			return max(time.Millisecond, d.ready[0].good.Sub(now))
		}
		return 0
	}
	return wait
}

// hand gives the permit to the next of a weight.
func (d *desk) hand(weight Weight, permit Permit, now time.Time) bool {
	w := d.line.pop(weight, now)
	if w == nil {
		return false
	}
	d.away.served(w)
	w.answer <- verdict{permit: permit}
	return true
}

func (d *desk) handAny(permit Permit, now time.Time) bool {
	for _, weight := range urgent {
		if d.hand(weight, permit, now) {
			return true
		}
	}
	return false
}

// turnAway keeps those whom the next second will serve, and those who came while
// the lease was under way: the next one is about them.
func (d *desk) turnAway(k ask, g grant) {
	wait, gap := time.Duration(g.wait)*time.Millisecond, time.Duration(0)
	if g.rate > 0 {
		gap = time.Duration(float64(time.Millisecond) / g.rate)
	}
	keep := perWeight{}
	if wait <= horizon {
		keep = d.line.calls()
		for w := range keep {
			keep[w] += g.calls[w] + g.soon[w] - k.calls[w]
		}
	}
	d.sendAway(keep, max(wait, horizon), gap, whyFull, nil)
}

// sendAway tells all but the first so many of each weight to come back after wait,
// each a gap after the one before.
func (d *desk) sendAway(keep perWeight, wait, gap time.Duration, why string, err error) {
	now := d.budget.config.Now()
	for _, weight := range urgent {
		for _, w := range d.line.cut(weight, max(0, keep[weight]), now) {
			w.answer <- verdict{err: &NotYet{Domain: d.domain, After: d.away.send(w, now, wait, gap), Why: why, Err: err}}
		}
	}
}
