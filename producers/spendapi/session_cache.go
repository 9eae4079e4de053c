package spendapi

import (
	"sync"
	"time"
)

// sessionCache remembers verified tokens by their SHA-256 until they expire. It
// keeps two generations: a full young one becomes the old one, and what is used
// again moves back to the young. So it holds what was used last, in bounded
// memory, without a list to keep in order.
type sessionCache struct {
	mu         sync.Mutex
	young, old map[[32]byte]session
	max        int // entries of one generation
}

type session struct {
	appUserID string
	until     time.Time
}

func newSessionCache(size int) *sessionCache {
	return &sessionCache{young: map[[32]byte]session{}, max: max(1, size/2)}
}

// get returns the player of a token that was verified before and is valid now.
func (c *sessionCache) get(digest [32]byte, now time.Time) (appUserID string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.young[digest]
	if !ok {
		if s, ok = c.old[digest]; ok {
			delete(c.old, digest)
			c.keep(digest, s)
		}
	}
	if ok && !now.Before(s.until) {
		delete(c.young, digest)
		return "", false
	}
	return s.appUserID, ok
}

func (c *sessionCache) put(digest [32]byte, s session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(digest, s)
}

func (c *sessionCache) keep(digest [32]byte, s session) {
	if len(c.young) >= c.max {
		c.young, c.old = make(map[[32]byte]session, c.max), c.young
	}
	c.young[digest] = s
}

func (c *sessionCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}
