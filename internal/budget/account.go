package budget

import (
	"math"
	"time"
)

const (
	// horizon is the longest wait inside Take; whoever would wait longer parks.
	horizon = time.Second
	// burstShare of the limit may start at once after a quiet time: 60 of 480.
	burstShare = 8
	// slowStart is how long after a pause, or after the circuit closed, the rate is
	// held down: one call a second, doubled every second. It reaches 480 a minute
	// after three seconds and a thousand a second at its end.
	slowStart = 10 * time.Second
	// waitingTTL is how long a process that does not come back is taken to wait.
	waitingTTL = time.Second
	// passTTL is how long it is remembered what such a process has had.
	passTTL = time.Minute
)

// account is what all processes know of one domain, beside the columns of its
// row. It is pure: times are milliseconds of PostgreSQL's clock, passed in.
type account struct {
	Log      window               `json:"log,omitempty"`
	Tokens   float64              `json:"tokens"`    // calls that may start at once, as far as the pace is concerned
	TokensAt int64                `json:"tokens_at"` // when Tokens was right; 0: never yet
	Passes   [weights]float64     `json:"passes"`    // what each weight has had, divided by its share
	Waiting  map[string]*waitList `json:"waiting,omitempty"`
}

// waitList is what one process last said about those who wait in it.
type waitList struct {
	SaidAt  int64            `json:"at"`
	Calls   perWeight        `json:"calls"`
	Players perWeight        `json:"players"`
	Passes  [weights]float64 `json:"passes"` // what its calls of a weight have had, divided by its players
}

// terms are the provider's, and the times that shape a lease.
type terms struct {
	limit       int   // calls a span that may start, headroom taken off; 0: not known, everything may
	span        int64 // the provider's minute
	lease       int64 // how long a permit is good for
	closedUntil int64
	reopenedAt  int64 // when calls were last allowed again
}

// ask is what a process wants of an account.
type ask struct {
	process string
	calls   perWeight // waiting now
	players perWeight // whose they are
	extra   int       // more that it expects to start within one lease
	unused  []counted // permits that lapsed
	usage   int       // what the provider says it counted; 0: nothing new
}

// grant is what an account gives.
type grant struct {
	calls perWeight // of those that wait, how many may start
	extra int       // of those expected
	until int64     // the entry of the log they all are in
	soon  perWeight // of those still waiting, how many will start within the horizon; the others must go
	room  int       // how many calls of anybody will start within the horizon
	wait  int64     // until the next call of anybody may start, at the earliest
	rate  float64   // calls a millisecond, over all processes, in the long run; 0: no limit
}

// lease counts what a process wants and gives it what falls to it now.
func (a *account) lease(t terms, now int64, k ask) grant {
	a.settle(t, now, k)
	g := grant{until: roundUp(now+t.lease+t.span, t.lease)}
	if t.limit > 0 {
		g.rate = float64(t.limit) / float64(t.span)
	}
	if now < t.closedUntil {
		g.wait, g.soon = t.closedUntil-now, k.calls
		return g
	}
	rate, burst := a.pace(t, now)
	if math.IsInf(rate, 1) {
		g.calls, g.extra, g.room = k.calls, k.extra, math.MaxInt
		a.Tokens, a.TokensAt = 0, now
		a.take(k.process, g)
		return g
	}
	a.refill(t, now, rate, burst)
	room := math.MaxInt
	if t.limit > 0 {
		room = max(0, t.limit-a.Log.used())
	}
	startable := min(int(a.Tokens), room)
	g.calls = a.allot(startable, k.process)
	if left := startable - a.waiting(); left > 0 && t.limit > 0 && room >= t.limit/2 { // the limit is far away
		g.extra = min(k.extra, left/2)
	}
	a.take(k.process, g)

	taken := g.calls.total() + g.extra
	faster, _ := a.pace(t, now+horizon.Milliseconds()) // in a slow start
	next, leaving := int(min(math.MaxInt32, a.Tokens+max(rate, faster)*float64(horizon.Milliseconds()))), math.MaxInt
	if t.limit > 0 {
		leaving = room - taken + a.Log.leaving(now, horizon.Milliseconds())
		g.wait = max(0, a.Log.roomAt(now, t.limit)-now)
	}
	if a.Tokens < 1 {
		// A full log has no pace, and is empty a span later.
		g.wait = max(g.wait, int64(math.Ceil((1-a.Tokens)/max(rate, 1/float64(t.span)))))
	}
	g.room = min(next, leaving)
	g.soon = a.allot(g.room, k.process)
	a.Waiting[k.process].Calls = g.soon // the others are sent away
	return g
}

// settle brings the account up to date: what left the log, what was given back,
// what others counted, who waits.
func (a *account) settle(t terms, now int64, k ask) {
	a.Log = a.Log.after(now)
	for _, c := range k.unused {
		a.Log = a.Log.giveBack(c.Until, c.Calls)
		a.Tokens += float64(c.Calls) // refill cuts what is too much
	}
	if others := k.usage - a.Log.used(); others > 0 { // somebody else uses the same key
		a.Log = a.Log.add(roundUp(now+t.span, t.lease), others)
	}
	a.forget(now)
	a.enter(now, k)
}

// pace is the rate at which calls may start, a millisecond, and how many may start
// at once. Both are infinite while nothing limits them.
func (a *account) pace(t terms, now int64) (rate, burst float64) {
	rate, burst = math.Inf(1), math.Inf(1)
	if t.limit > 0 {
		rate, burst = a.Log.pace(now, t.span, t.limit), max(1, float64(t.limit)/burstShare)
	}
	if open := now - t.reopenedAt; t.reopenedAt > 0 && open < slowStart.Milliseconds() {
		perSecond := math.Exp2(float64(open) / 1000)
		rate, burst = min(rate, perSecond/1000), min(burst, max(1, perSecond/2))
	}
	return rate, burst
}

func (a *account) refill(t terms, now int64, rate, burst float64) {
	switch {
	case a.TokensAt < t.reopenedAt: // what was saved up before the pause is void
		a.Tokens, a.TokensAt = 1, t.reopenedAt
	case a.TokensAt == 0:
		a.Tokens, a.TokensAt = burst, now
	}
	a.Tokens = min(burst, a.Tokens+rate*float64(max(0, now-a.TokensAt)))
	a.TokensAt = now
}

func roundUp(at, step int64) int64 { return (at + step - 1) / step * step }
