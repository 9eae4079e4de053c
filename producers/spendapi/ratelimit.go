package spendapi

import (
	"sync"
	"time"
)

const (
	// burstSeconds is how many seconds of the rate a player may use at once: 100
	// requests at the default of 20 a second (design.md, section 8).
	burstSeconds = 5
	// bucketsMax bounds the memory of the limiter, some 100 MB of ordinary ids. A
	// bucket is full, and dropped, burstSeconds after the player's last request at
	// the latest, so this many are in use only above 200,000 players a second; then
	// new players go unlimited.
	bucketsMax = 1 << 20
	// bucketsSweepMin keeps a small table from being swept again and again.
	bucketsSweepMin = 1024
)

// playerLimiter is a token bucket per player. Instead of tokens it keeps the one
// moment at which the bucket will be full again (the generic cell rate
// algorithm), so that a bucket is one number and a full one need not be kept.
// It is safe for concurrent use. A nil playerLimiter limits nothing.
type playerLimiter struct {
	mu      sync.Mutex
	cost    time.Duration // one request, in time to refill it
	room    time.Duration // a whole bucket
	fullAt  map[string]int64
	sweepAt int // sweep when the table has this many entries
}

// newPlayerLimiter allows rate requests a second with bursts of five seconds of
// it, at least one. It returns nil for a rate of 0.
func newPlayerLimiter(rate float64) *playerLimiter {
	if rate <= 0 {
		return nil
	}
	cost := time.Duration(float64(time.Second) / rate)
	return &playerLimiter{
		cost: cost, room: max(cost, time.Duration(burstSeconds)*time.Second),
		fullAt: map[string]int64{}, sweepAt: bucketsSweepMin,
	}
}

// take uses one request of the player's and returns 0, or how long until there
// is one.
func (l *playerLimiter) take(player string, now time.Time) (wait time.Duration) {
	if l == nil {
		return 0
	}
	at := now.UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	full := max(l.fullAt[player], at) + int64(l.cost)
	if over := full - at - int64(l.room); over > 0 {
		return time.Duration(over)
	}
	if len(l.fullAt) >= l.sweepAt {
		l.sweep(at)
	}
	if _, known := l.fullAt[player]; known || len(l.fullAt) < bucketsMax {
		l.fullAt[player] = full
	}
	return 0
}

// sweep drops the full buckets. It runs again when the table has doubled, so its
// cost per request is constant, however large the table.
func (l *playerLimiter) sweep(at int64) {
	for player, full := range l.fullAt {
		if full <= at {
			delete(l.fullAt, player)
		}
	}
	l.sweepAt = max(bucketsSweepMin, 2*len(l.fullAt))
}
