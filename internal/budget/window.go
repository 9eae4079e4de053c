package budget

import (
	"cmp"
	"slices"
)

// window is the sliding log of one domain: how many calls count until when. Its
// times are milliseconds of PostgreSQL's clock. It is sorted by Until.
type window []counted

// counted are calls that leave the log together.
type counted struct {
	Until int64 `json:"u"`
	Calls int   `json:"n"`
}

// used is how many calls count.
func (w window) used() int {
	sum := 0
	for _, c := range w {
		sum += c.Calls
	}
	return sum
}

// add counts n more calls until a moment.
func (w window) add(until int64, n int) window {
	at, found := w.find(until)
	if found {
		w[at].Calls += n
		return w
	}
	return slices.Insert(w, at, counted{Until: until, Calls: n})
}

// giveBack takes n calls, which never started, out of the entry they are in. What
// has left the log meanwhile has nothing to give back.
func (w window) giveBack(until int64, n int) window {
	at, found := w.find(until)
	if !found {
		return w
	}
	w[at].Calls -= n
	if w[at].Calls <= 0 {
		return slices.Delete(w, at, at+1)
	}
	return w
}

func (w window) find(until int64) (int, bool) {
	return slices.BinarySearchFunc(w, until, func(c counted, u int64) int { return cmp.Compare(c.Until, u) })
}

// after drops what no longer counts.
func (w window) after(now int64) window {
	return slices.DeleteFunc(w, func(c counted) bool { return c.Until <= now })
}

// leaving is how many calls leave within a time from now.
func (w window) leaving(now, within int64) int {
	sum := 0
	for _, c := range w {
		if c.Until <= now+within {
			sum += c.Calls
		}
	}
	return sum
}

// roomAt is the moment from which on one more call fits.
func (w window) roomAt(now int64, limit int) int64 {
	used := w.used()
	for _, c := range w {
		if used < limit {
			break
		}
		now, used = c.Until, used-c.Calls
	}
	return now
}

// pace is the highest even rate, in calls a millisecond, at which the log would
// not fill up before a burst of the past leaves it. Calls that start as fast as
// the log admits would spend a minute's calls in seconds and leave a refund
// waiting for the rest of it. What leaves within a sixtieth of the span is not
// looked at: that the log is full for a moment is no reason to slow down.
func (w window) pace(now, span int64, limit int) float64 {
	rate := float64(limit) / float64(span)
	used := w.used()
	for _, c := range w {
		if ahead := c.Until - now; ahead >= span/60 {
			rate = min(rate, float64(limit-used)/float64(ahead))
		}
		used -= c.Calls
	}
	return max(0, rate)
}
