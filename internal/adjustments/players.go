package adjustments

import "sync"

// players keeps two workers of one process from working for the same player at
// once. Across processes the lease does.
type players struct {
	mu     sync.Mutex
	inHand map[string]*hand
}

// hand is one worker's hold on a player.
type hand struct {
	looksAgain bool // the worker looks for waiting spends once more before it leaves
	asked      bool // somebody relies on that
}

// grip is what a worker is told who asks for a player.
type grip int

const (
	taken    grip = iota // the player is the worker's
	promised             // another has it and will look once more for the worker's sake
	refused              // another has it and will not
)

// take takes the player if it is free. looksAgain promises everybody who asks
// meanwhile another look; relies says that the worker goes away upon such a promise.
func (p *players) take(appUserID string, looksAgain, relies bool) grip {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h, held := p.inHand[appUserID]; held {
		if !relies || !h.looksAgain {
			return refused
		}
		h.asked = true
		return promised
	}
	if p.inHand == nil {
		p.inHand = make(map[string]*hand)
	}
	p.inHand[appUserID] = &hand{looksAgain: looksAgain}
	return taken
}

// leave gives the player back, unless somebody relies on another look: then the
// worker keeps it and looks.
func (p *players) leave(appUserID string) (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.inHand[appUserID]; h.asked {
		h.asked = false
		return true
	}
	delete(p.inHand, appUserID)
	return false
}

// abandon gives the player back whoever relies on another look: the delivery of a
// worker that fails comes back and looks then.
func (p *players) abandon(appUserID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inHand, appUserID)
}
