package broker

import "time"

const (
	// pullExpires is how long a pull request stays open at the server. Longer only
	// means fewer requests while nothing happens.
	pullExpires = 5 * time.Second

	// pullGrace is how much later than pullExpires its end may arrive.
	pullGrace = time.Second
)

// credit counts how many messages the server may still send for the pull requests
// that are open. The count must never be too low for long, or more is fetched than
// there are handlers; nor too high for ever, or handlers idle.
type credit struct {
	messages int
	open     []pull // oldest first; those that ended without a word are among them
	lastID   uint64
}

// pull is one pull request.
type pull struct {
	id    uint64
	batch int
	until time.Time // it has ended by then, whatever got lost
}

// ask notes a new request and returns its id.
func (c *credit) ask(batch int, now time.Time) uint64 {
	c.lastID++
	c.open = append(c.open, pull{id: c.lastID, batch: batch, until: now.Add(pullExpires + pullGrace)})
	c.messages += batch
	return c.lastID
}

// took notes that a message came. Nothing tells for which request, so requests are
// known to have ended only when all have.
func (c *credit) took() { c.spend(1) }

// ended notes that the server ended a request with unused messages left of it;
// unused < 0: it did not say, so all of it.
func (c *credit) ended(id uint64, unused int) {
	for i, p := range c.open {
		if p.id != id {
			continue
		}
		if unused < 0 {
			unused = p.batch
		}
		c.open = append(c.open[:i], c.open[i+1:]...)
		c.spend(unused)
		return
	}
}

// reclaim gives up on requests that must have ended: if their end was lost, their
// messages would count for ever.
func (c *credit) reclaim(now time.Time) {
	for len(c.open) > 0 && now.After(c.open[0].until) {
		c.open = c.open[1:]
	}
	possible := 0
	for _, p := range c.open {
		possible += p.batch
	}
	c.messages = min(c.messages, possible)
}

func (c *credit) spend(n int) {
	c.messages = max(c.messages-n, 0)
	if c.messages == 0 {
		c.open = c.open[:0]
	}
}
