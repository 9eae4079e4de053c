package budget

import "time"

// away remembers the players who were told to come back later: since when they
// wait, so that newcomers do not overtake, and when they are expected to be served.
// It is this process's own, and forgotten with it. A process expects as if all calls
// were its own and of this weight: who comes back too early is sent away once more,
// which costs little, but nobody comes back too late.
type away struct {
	notes map[note]place
	last  [weights]time.Time // the latest place given to a player who came
	late  [weights]time.Time // the latest given to a player who was not served at its place
}

// note names a player's calls of one weight.
type note struct {
	weight Weight
	player string
}

// place is where such a player stands.
type place struct {
	since time.Time
	at    time.Time // when it is expected to be served
}

const (
	awayMax  = 10_000      // players remembered, about a megabyte; more come back as newcomers
	placeTTL = time.Minute // for how long a player may be late
	// awayWait is the longest time a player is told to stay away: limits change, and
	// others leave.
	awayWait = time.Minute
	// awayShare of the time until its place is what a player is told, since waits are
	// spread by up to a fifth (consumers.Decide): it is back by then.
	awayShare = 1 / 1.2
)

// since returns the moment from which a player counts as waiting.
func (a *away) since(weight Weight, player string, now time.Time) time.Time {
	if p, found := a.notes[note{weight, player}]; found && now.Sub(p.at) < placeTTL {
		return p.since
	}
	return now
}

// expected is how long until a player who was sent away is expected to be served; 0:
// it should be, or was never sent away.
func (a *away) expected(weight Weight, player string, now time.Time) time.Duration {
	return max(0, a.notes[note{weight, player}].at.Sub(now))
}

// send notes that a waiter is sent away and returns for how long. No place is within
// wait, and places are gap apart, so that players come back one by one, as they can
// be served. A player has one place, however many calls of its wait. If it is not
// served there, it is given another, and not behind those who came later.
func (a *away) send(w *waiter, now time.Time, wait, gap time.Duration) time.Duration {
	key := note{w.weight, w.player}
	p, again := a.notes[key]
	if soonest := now.Add(wait); p.at.Before(soonest) {
		last := &a.last[w.weight]
		if again {
			last = &a.late[w.weight]
		}
		if last.Before(soonest) {
			*last = soonest
		}
		*last = last.Add(gap)
		p = place{since: w.since, at: *last}
		a.keep(key, p, now)
	}
	told := time.Duration(float64(p.at.Sub(now)) * awayShare)
	return max(wait, min(told, awayWait))
}

func (a *away) keep(key note, p place, now time.Time) {
	if a.notes == nil {
		a.notes = map[note]place{}
	}
	if _, known := a.notes[key]; !known && len(a.notes) >= awayMax {
		for key, p := range a.notes {
			if now.Sub(p.at) >= placeTTL {
				delete(a.notes, key)
			}
		}
		if len(a.notes) >= awayMax {
			return
		}
	}
	a.notes[key] = p
}

// served forgets a player.
func (a *away) served(w *waiter) { delete(a.notes, note{w.weight, w.player}) }
