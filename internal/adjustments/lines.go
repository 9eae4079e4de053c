package adjustments

import (
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	// lineFor is how long a player's line stays in mind after an adjustment was settled.
	lineFor = 10 * time.Second
	// linesMax is how many are kept, in some MB; when there are more, all are forgotten.
	linesMax = 16384
	// placeLag is how long ago a place must have been the first of a line for looks to
	// begin there. Places are given before their commits: one that takes longer than this
	// comes to stand behind.
	placeLag = time.Second
)

// lines keeps in mind, of the players whose adjustments this process settled a moment
// ago, what the next look at them need not read: that nothing is open, the balances, and
// where their line begins. It keeps no promise. Whoever binds is told by the guard that
// something is open after all, and a spend that a look passed over has a delivery of its
// own, which sees to it that the next one passes over nothing. The zero value is ready.
type lines struct {
	mu      sync.Mutex
	players map[string]line
}

type line struct {
	known   economy.Amounts // the balances that the provider's answer told
	settled time.Time       // when that was
	from    int64           // a look begins at this place; 0: at the start
	first   int64           // the place that was first at the last look that counts
	seen    time.Time       // when that was
}

// settled keeps what an adjustment's answer told.
func (l *lines) settled(appUserID string, known economy.Amounts, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept, ok := l.players[appUserID]
	if !ok && (l.players == nil || len(l.players) >= linesMax) {
		l.players = make(map[string]line)
	}
	kept.known, kept.settled = known, now
	l.players[appUserID] = kept
}

// recall returns a player's line, unless that was too long ago.
func (l *lines) recall(appUserID string, now time.Time) (line, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept, ok := l.players[appUserID]
	return kept, ok && now.Sub(kept.settled) < lineFor
}

// saw keeps which place a look found first.
func (l *lines) saw(appUserID string, place int64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept, ok := l.players[appUserID]
	if !ok || place == 0 || now.Sub(kept.seen) < placeLag {
		return
	}
	kept.from, kept.first, kept.seen = kept.first, place, now
	l.players[appUserID] = kept
}

// forget has the next look at a player read everything.
func (l *lines) forget(appUserID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.players, appUserID)
}
