package gemstore

import (
	"context"
	"sync"
	"time"
)

// Site is what is the same for everybody who looks.
type Site struct {
	Books    []Sums   `json:"books"`
	Players  int      `json:"players"`
	Counted  int64    `json:"counted"` // how often the books were counted, and balanced or not
	Wrong    int64    `json:"wrong"`   // how often they did not
	Trouble  string   `json:"trouble,omitempty"`
	Switches []Switch `json:"switches"`
	Wiped    bool     `json:"wiped"` // the stream was wiped within the last seconds
}

const (
	// tallyEvery is how often the books are counted while somebody looks.
	tallyEvery = time.Second
	// wipedShown is how long a wipe is shown.
	wipedShown = 6 * time.Second
)

// tally keeps the newest look at the site, for all who ask within its second.
type tally struct {
	mu   sync.Mutex
	at   time.Time
	last Site
}

// forget has the next look read everything anew.
func (t *tally) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = time.Time{}
}

// site looks at the switches and counts the books, at most once in tallyEvery. What
// cannot be read is in Trouble, and the numbers stay those of before.
func (s *Store) site(ctx context.Context) Site {
	t := &s.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	now := s.now()
	if now.Sub(t.at) < tallyEvery {
		return t.last
	}
	next := t.last
	next.Trouble = ""
	sums, players, ok, err := s.count(ctx)
	switch {
	case err != nil:
		next.Trouble = "The books cannot be counted: " + because(err.Error()) + "."
	case ok:
		next.Books, next.Players, next.Counted = sums, players, next.Counted+1
		for _, one := range sums {
			if one.Off != 0 {
				next.Wrong++
				break
			}
		}
	}
	if list, err := s.readSwitches(ctx); err == nil {
		next.Switches = list
	} else if next.Trouble == "" {
		next.Trouble = because(err.Error())
	}
	s.mu.Lock()
	next.Wiped = !s.wiped.IsZero() && now.Sub(s.wiped) < wipedShown
	s.mu.Unlock()
	t.at, t.last = now, next
	return next
}
