package resync

import (
	"context"
	"sync"
)

// turns has those who read one customer in this process read one after another. Two
// processes may read a customer at once: that costs calls, and changes nothing.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

// turn is one customer's; it is there while somebody has it or waits for it.
type turn struct {
	token   chan struct{} // holds one: the turn is free
	waiting int
}

// enter waits for the customer's turn, until ctx ends.
func (t *turns) enter(ctx context.Context, customerID string) (leave func(), err error) {
	t.mu.Lock()
	if t.taken == nil {
		t.taken = map[string]*turn{}
	}
	mine := t.taken[customerID]
	if mine == nil {
		mine = &turn{token: make(chan struct{}, 1)}
		mine.token <- struct{}{}
		t.taken[customerID] = mine
	}
	mine.waiting++
	t.mu.Unlock()
	forget := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			delete(t.taken, customerID)
		}
	}
	select {
	case <-mine.token:
		return func() { mine.token <- struct{}{}; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
