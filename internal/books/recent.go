package books

import (
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	// recentFor is how long a spend stays in mind: a message takes milliseconds.
	recentFor = 2 * time.Second
	// recentMax is how many do, about 2 MB of them.
	recentMax = 4096
)

// Recent keeps in mind what this process charged a moment ago, so that whoever hands
// the item over here need not read the spend again. It is a cache and keeps no
// promise: the guard of whatever follows decides. It is safe for concurrent use.
type Recent struct {
	Now func() time.Time

	mu     sync.Mutex
	spends map[string]remembered
	oldest []string // ids in the order they came; some are taken already
}

type remembered struct {
	spend economy.Spend
	at    time.Time
}

// Moved keeps a spend that was charged, as it is after the commit.
func (r *Recent) Moved(spend economy.Spend) {
	if spend.State != economy.Charged || spend.AdjustmentID == "" {
		return
	}
	now := r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spends == nil {
		r.spends = make(map[string]remembered)
	}
	for len(r.oldest) > 0 && (len(r.oldest) >= recentMax || now.Sub(r.spends[r.oldest[0]].at) > recentFor) {
		delete(r.spends, r.oldest[0])
		r.oldest = r.oldest[1:]
	}
	r.spends[spend.ID] = remembered{spend, now}
	r.oldest = append(r.oldest, spend.ID)
}

// take returns a spend once: whoever asks again has seen that it was not good enough.
func (r *Recent) take(id string) (economy.Spend, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, ok := r.spends[id]
	delete(r.spends, id)
	return kept.spend, ok && r.Now().Sub(kept.at) <= recentFor
}
