package outbox

import (
	"sync"
	"time"
)

// pending is one caller that waits for its Effects to be committed.
type pending struct {
	effects Effects
	owed    []owedRow // the outbox rows of its events
	keys    []string
	done    chan answer
}

type answer struct {
	result Result
	err    error
	batch  int // the effects that were committed together
}

// queue holds what waits for a commit: later steps of the road apart from new
// work, so that they can go first.
type queue struct {
	mu       sync.Mutex
	arrived  *sync.Cond
	later    []*pending
	intake   []*pending
	limit    int // entries; one more intake is refused
	suspects suspects
	running  int  // batches that are being committed
	late     bool // the youngest of them has been for its spareTime
	spare    *time.Timer
	closed   bool
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.arrived = sync.NewCond(&q.mu)
	q.spare = time.AfterFunc(time.Hour, q.runsLate)
	q.spare.Stop()
	return q
}

// put queues p. It refuses new work when the queue is full, never a later step:
// those are bounded by the consumers' own slots.
func (q *queue) put(p *pending) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case p.effects.Intake && len(q.intake) >= q.limit:
		return ErrOverloaded
	case p.effects.Intake:
		q.intake = append(q.intake, p)
	default:
		q.later = append(q.later, p)
	}
	q.arrived.Signal()
	return nil
}

// take waits for work and returns a batch of at most size, or nil when the
// queue is closed and empty. While another batch is being committed it waits until
// that one is, is late, or a full one has gathered: a commit costs PostgreSQL about
// 1 ms of CPU whatever is in it. A small one is late soon, see spareSoon. No two
// entries of a batch share a key, and a suspect owner's entry is a batch of its own;
// what is passed over keeps its place. committed must follow.
func (q *queue) take(size int) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		waiting := len(q.later) + len(q.intake)
		if waiting > 0 && (q.running == 0 || q.late || waiting >= size) {
			break
		}
		if waiting == 0 && q.closed {
			return nil
		}
		q.arrived.Wait()
	}
	q.running++
	q.late = false
	batch := batchPicker{size: size, keys: make(map[string]bool, 2*size), suspects: &q.suspects}
	q.later = batch.pickFrom(q.later)
	q.intake = batch.pickFrom(q.intake)
	q.spare.Reset(spareTime(len(batch.picked)))
	if len(q.later)+len(q.intake) >= size {
		q.arrived.Signal() // another committer may take the rest
	}
	return batch.picked
}

// spareTime is how long a batch may be committed before another starts beside it.
func spareTime(size int) time.Duration {
	if size <= smallBatch {
		return spareSoon
	}
	return spareAfter
}

// committed says that a batch that was taken is done with.
func (q *queue) committed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	if q.running == 0 {
		q.spare.Stop()
	}
	q.arrived.Broadcast()
}

// runsLate lets another batch start beside one that takes long.
func (q *queue) runsLate() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.late = true
	q.arrived.Broadcast()
}

func (q *queue) depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.later) + len(q.intake)
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.arrived.Broadcast()
}

type batchPicker struct {
	size     int
	picked   []*pending
	keys     map[string]bool
	suspects *suspects
	alone    bool
}

// pickFrom moves entries that fit into the batch and returns the others, in
// their order. Whoever shares a key with an entry passed over waits behind it.
func (b *batchPicker) pickFrom(list []*pending) []*pending {
	rest := list[:0]
	for i, p := range list {
		if len(b.picked) >= b.size || b.alone {
			rest = append(rest, list[i:]...)
			break
		}
		suspect := b.suspects.has(p.effects.Owner)
		if b.reserve(p.keys) || (suspect && len(b.picked) > 0) {
			rest = append(rest, p)
			continue
		}
		b.picked = append(b.picked, p)
		b.alone = suspect
	}
	clear(list[len(rest):])
	return rest
}

// reserve takes the keys for this batch and reports whether one was taken.
func (b *batchPicker) reserve(keys []string) (taken bool) {
	for _, key := range keys {
		taken = taken || b.keys[key]
	}
	for _, key := range keys {
		b.keys[key] = true
	}
	return taken
}

// suspectsMax bounds the memory for owners whose data failed lately; beyond it
// the oldest is forgotten and may fail one more batch, which bisection finds.
const suspectsMax = 1024

// suspects remembers whose effects failed with a data error.
type suspects struct {
	owners map[string]bool
	order  []string
}

func (s *suspects) has(owner string) bool { return owner != "" && s.owners[owner] }

func (s *suspects) add(owner string) {
	if owner == "" || s.owners[owner] {
		return
	}
	if s.owners == nil {
		s.owners = make(map[string]bool)
	}
	if len(s.order) == suspectsMax {
		delete(s.owners, s.order[0])
		s.order = s.order[1:]
	}
	s.owners[owner] = true
	s.order = append(s.order, owner)
}

func (q *queue) suspect(owner string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.suspects.add(owner)
}
