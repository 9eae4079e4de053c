package spendapi

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// WaitersMaxDefault bounds the requests that wait at once: about 1 KB each here,
// and a goroutine of 8 KB and a connection each in net/http. One more request is
// answered 202 at once.
const WaitersMaxDefault = 20_000

// Waiters holds the requests that wait for a spend's outcome, by spend id. A
// notice wakes those it is about. Notices may be lost, so that half-way and at the
// deadline the spends are also read from the database, all that are due in one
// query. It is safe for concurrent use.
type Waiters struct {
	reader SpendReader
	log    *slog.Logger
	max    int
	wake   chan struct{} // a waiter became the first to be due
	stop   context.CancelFunc
	done   sync.WaitGroup
	epoch  time.Time // time counts from here by the monotonic clock: setting the clock moves no deadline

	mu       sync.Mutex
	bySpend  map[string]*Waiter // the first of a list of those that wait for one spend
	schedule schedule
	closed   bool // draining: nobody may wait any more
}

// Waiter is one request that waits.
type Waiter struct {
	owner    *Waiters
	spendID  string
	deadline time.Duration // since the owner's epoch
	due      time.Duration // when the database is asked next: half-way, then the deadline
	index    int           // in the schedule; -1: it has been woken or released
	next     *Waiter       // that waits for the same spend
	outcome  chan wakeup
}

// wakeup is what a waiter is told; known false: the time is up, and the spend
// could not be read.
type wakeup struct {
	spend economy.Spend
	known bool
}

// NewWaiters starts the goroutine that reads for those who wait. Close ends it.
// size 0 takes WaitersMaxDefault.
func NewWaiters(reader SpendReader, size int, log *slog.Logger) *Waiters {
	if size == 0 {
		size = WaitersMaxDefault
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Waiters{reader: reader, log: log, max: size, wake: make(chan struct{}, 1), stop: stop, epoch: time.Now(), bySpend: map[string]*Waiter{}}
	w.done.Go(func() { w.run(ctx) })
	return w
}

// Register enters a request that will wait until at most patience from now. Done
// before the commit, it misses no notice. It returns nil when there is nothing to
// wait for: no patience, a full table, or draining; a nil Waiter may be used.
func (w *Waiters) Register(spendID string, patience time.Duration) *Waiter {
	if patience <= 0 {
		return nil
	}
	now := time.Since(w.epoch)
	waiter := &Waiter{
		owner: w, spendID: spendID, deadline: onGrid(now + patience), due: onGrid(now + patience/2),
		outcome: make(chan wakeup, 1),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.schedule) >= w.max {
		return nil
	}
	waiter.next = w.bySpend[spendID]
	w.bySpend[spendID] = waiter
	w.push(waiter)
	return waiter
}

// Wait returns the spend once it is final, or as it stands when the patience has
// run out. known is false when it could not be read, the process is draining, or
// ctx ended: then the caller knows no more than before.
func (x *Waiter) Wait(ctx context.Context) (spend economy.Spend, known bool) {
	if x == nil {
		return economy.Spend{}, false
	}
	defer x.Release()
	select {
	case told := <-x.outcome:
		return told.spend, told.known
	case <-ctx.Done():
		return economy.Spend{}, false
	}
}

// Release frees the waiter's place. A second call does nothing.
func (x *Waiter) Release() {
	if x == nil {
		return
	}
	x.owner.mu.Lock()
	defer x.owner.mu.Unlock()
	x.owner.remove(x)
}

// Notify wakes the requests that wait for the notice's spend, if it is final: for
// anything else they go on waiting. It never blocks.
func (w *Waiters) Notify(n events.Notice) {
	if !n.Spend.State.Final() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(n.Spend)
}

// Waits reports whether a request waits for a spend.
func (w *Waiters) Waits(spendID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bySpend[spendID] != nil
}

// Waiting returns how many requests wait.
func (w *Waiters) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.schedule)
}

// Drain sends everybody away who waits, and lets nobody wait any more. A second
// call does nothing.
func (w *Waiters) Drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for len(w.schedule) > 0 {
		w.finish(w.schedule[0], wakeup{})
	}
}

// Close drains and ends the reading goroutine. A second call does nothing.
func (w *Waiters) Close() {
	w.Drain()
	w.stop()
	w.done.Wait()
}

// push schedules a waiter. The caller holds the lock.
func (w *Waiters) push(x *Waiter) {
	heap.Push(&w.schedule, x)
	if x.index == 0 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// tell wakes all that wait for a spend. The caller holds the lock.
func (w *Waiters) tell(spend economy.Spend) {
	for x := w.bySpend[spend.ID]; x != nil; x = w.bySpend[spend.ID] {
		w.finish(x, wakeup{spend, true})
	}
}

// finish wakes a waiter, once. The caller holds the lock.
func (w *Waiters) finish(x *Waiter, told wakeup) {
	if w.remove(x) {
		x.outcome <- told // has room: a waiter is removed once
	}
}

// remove takes a waiter out and reports whether it was in. The caller holds the lock.
func (w *Waiters) remove(x *Waiter) bool {
	if x.index < 0 {
		return false
	}
	heap.Remove(&w.schedule, x.index)
	switch first := w.bySpend[x.spendID]; {
	case first != x:
		for first.next != x {
			first = first.next
		}
		first.next = x.next
	case x.next == nil:
		delete(w.bySpend, x.spendID)
	default:
		w.bySpend[x.spendID] = x.next
	}
	x.next = nil
	return true
}

// schedule is a heap of waiters, the first to be due on top.
type schedule []*Waiter

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due < s[j].due }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(v any) {
	x := v.(*Waiter)
	x.index = len(*s)
	*s = append(*s, x)
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	x.index = -1
	return x
}
