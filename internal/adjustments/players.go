package adjustments

import "sync"

// players keeps two workers of one process from working for the same player at
// once. Across processes the lease does.
type players struct {
	mu     sync.Mutex
	inHand map[string]bool // true: somebody asked again meanwhile
}

// take reports whether the player is free, and takes it. Otherwise the worker
// who has it is told to look once more before it leaves.
func (p *players) take(appUserID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.inHand[appUserID]; taken {
		p.inHand[appUserID] = true
		return false
	}
	if p.inHand == nil {
		p.inHand = make(map[string]bool)
	}
	p.inHand[appUserID] = false
	return true
}

// leave gives the player back, unless somebody asked meanwhile: then the worker
// keeps it and looks again.
func (p *players) leave(appUserID string) (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inHand[appUserID] {
		p.inHand[appUserID] = false
		return true
	}
	delete(p.inHand, appUserID)
	return false
}

// abandon gives the player back whoever asked.
func (p *players) abandon(appUserID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inHand, appUserID)
}
