package spendapi

import (
	"sync"
	"time"
)

const (
	// commitSlow is the mean time to commit above which new spends are refused:
	// waiting longer than this, a player presses the button again.
	commitSlow = time.Second
	// pressureWindow is the length of each of the two windows that are looked at.
	pressureWindow = time.Second
	// pressureSamplesMin keeps a single slow commit from closing the door.
	pressureSamplesMin = 16
)

// pressure says when our own commits have become so slow that taking on more
// would make it worse. It looks at the mean of the last one to two seconds, so it
// opens by itself: when new spends are refused nothing is measured, and with
// nothing measured nothing is refused. It knows nothing of the provider's backlog.
// It is safe for concurrent use.
type pressure struct {
	mu             sync.Mutex
	began          time.Time // of the window current
	current, prior window
}

type window struct {
	sum   time.Duration
	count int
}

// observe records how long a commit took that ended now. Commits that failed are
// not recorded: a database that is down is another answer (503).
func (p *pressure) observe(took time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roll(now)
	p.current.sum += took
	p.current.count++
}

// high reports whether a new spend should be refused now.
func (p *pressure) high(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roll(now)
	count := p.current.count + p.prior.count
	return count >= pressureSamplesMin && (p.current.sum+p.prior.sum)/time.Duration(count) > commitSlow
}

func (p *pressure) roll(now time.Time) {
	switch since := now.Sub(p.began); {
	case since < -pressureWindow || since >= 2*pressureWindow: // the first: the clock was set back
		p.began, p.current, p.prior = now, window{}, window{}
	case since >= pressureWindow:
		p.began, p.current, p.prior = p.began.Add(pressureWindow), window{}, p.current
	}
}
