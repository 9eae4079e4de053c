// Package gather answers many callers who each want one thing by few reads for
// many: whoever asks while a read is under way waits for the next, which is for all
// of them. It does not linger: an idle reader reads at once, for one.
package gather

import (
	"context"
	"sync"
	"time"
)

const (
	// patience bounds a read. Nobody's own deadline does: others wait for the same read.
	patience = 10 * time.Second
	// enough is how many must wait for a second read to start beside one under way: a
	// read for one costs nearly what a read for sixteen does.
	enough = 16
	// spareAfter is when a second read starts even for one: the first one hangs.
	spareAfter = 50 * time.Millisecond
)

// Answer is what a read found for one key.
type Answer[V any] struct {
	Value V
	Err   error // of this key alone
}

// Read reads the values of keys, which differ from each other. A key that the answer
// lacks has none; an error is everybody's who asked.
type Read[K comparable, V any] func(ctx context.Context, keys []K) (map[K]Answer[V], error)

// Reader gathers. It is safe for concurrent use; its values are shared by all who
// asked for the same key, and must not be changed.
type Reader[K comparable, V any] struct {
	read    Read[K, V]
	readers int
	most    int

	mu      sync.Mutex
	waiting []wait[K, V]
	reading int
	spare   *time.Timer // runs while somebody reads
}

type wait[K comparable, V any] struct {
	ctx context.Context
	key K
	to  chan found[V]
}

type found[V any] struct {
	value V
	ok    bool
	err   error
}

// New returns a reader with at most readers reads at once, each for so many keys at most.
func New[K comparable, V any](readers, most int, read Read[K, V]) *Reader[K, V] {
	r := &Reader[K, V]{read: read, readers: readers, most: most}
	r.spare = time.AfterFunc(time.Hour, r.late)
	r.spare.Stop()
	return r
}

// late starts a read beside one that takes long, as soon as somebody waits.
func (r *Reader[K, V]) late() {
	r.mu.Lock()
	start := len(r.waiting) > 0 && r.reading < r.readers
	if start {
		r.reading++
	} else if r.reading > 0 {
		r.spare.Reset(spareAfter)
	}
	r.mu.Unlock()
	if start {
		r.work()
	}
}

// Get returns the value of a key, as a read that began after the call found it; ok is
// false when there is none. It ends early with ctx's error when ctx ends.
func (r *Reader[K, V]) Get(ctx context.Context, key K) (value V, ok bool, err error) {
	w := wait[K, V]{ctx: ctx, key: key, to: make(chan found[V], 1)}
	r.mu.Lock()
	r.waiting = append(r.waiting, w)
	start := r.reading == 0 || r.reading < r.readers && len(r.waiting) >= enough
	if start {
		r.reading++
	}
	r.mu.Unlock()
	if start {
		go r.work()
	}
	select {
	case f := <-w.to:
		return f.value, f.ok, f.err
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
}

// Waiting returns how many wait for a read that has not begun.
func (r *Reader[K, V]) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// work reads until nobody waits.
func (r *Reader[K, V]) work() {
	for {
		r.mu.Lock()
		n := min(len(r.waiting), r.most)
		if n == 0 {
			r.reading--
			r.mu.Unlock()
			return
		}
		batch := r.waiting[:n:n]
		r.waiting = r.waiting[n:]
		if len(r.waiting) == 0 {
			r.waiting = nil // not the tail of an array that only grows
		}
		r.spare.Reset(spareAfter)
		r.mu.Unlock()
		r.answer(batch)
	}
}

// answer reads for a batch. It goes on as long as anybody of it waits: the context of
// one who went away must not end the read of the others.
func (r *Reader[K, V]) answer(batch []wait[K, V]) {
	keys := make([]K, 0, len(batch))
	seen := make(map[K]bool, len(batch))
	for _, w := range batch {
		if w.ctx.Err() == nil && !seen[w.key] {
			seen[w.key], keys = true, append(keys, w.key)
		}
	}
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), patience)
	defer cancel()
	answers, err := r.read(ctx, keys)
	for _, w := range batch {
		answer, ok := answers[w.key]
		f := found[V]{value: answer.Value, ok: ok && answer.Err == nil, err: answer.Err}
		if err != nil {
			f = found[V]{err: err}
		}
		w.to <- f
	}
}
