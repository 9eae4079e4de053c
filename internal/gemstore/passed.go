package gemstore

import (
	"sync"
	"time"
)

// passage is when a message was seen on the stream.
type passage struct {
	first, last time.Time
	times       int
}

// passedMax bounds what is remembered of the messages of players who look on.
const passedMax = 20_000

// passed remembers when messages passed on the stream. It is safe for concurrent use.
type passed struct {
	mu sync.Mutex
	at map[string]passage
}

// note remembers a message.
func (p *passed) note(eventID string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.at) >= passedMax {
		clear(p.at) // times are then not shown for what is on its way; nothing else depends on it
	}
	one := p.at[eventID]
	if one.times == 0 {
		one.first = now
	}
	one.last, one.times = now, one.times+1
	p.at[eventID] = one
}

// seen tells what is remembered of a message.
func (p *passed) seen(eventID string) (first, last time.Time, times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.at[eventID]
	return one.first, one.last, one.times
}
