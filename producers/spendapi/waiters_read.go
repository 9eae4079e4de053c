package spendapi

import (
	"container/heap"
	"context"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	// readGrid is the grid on which the database is asked: what falls due within one
	// step is one query, so there are at most 20 a second, however many wait. An
	// answer comes so much later than asked for at the most.
	readGrid = 50 * time.Millisecond
	// readChunk is the most spends of one query.
	readChunk = 2000
	// readPatience bounds one query: those at their deadline wait for it.
	readPatience = time.Second
)

// onGrid rounds a moment up to the grid.
func onGrid(at time.Duration) time.Duration { return (at + readGrid - 1).Truncate(readGrid) }

// run reads for the waiters until ctx ends.
func (w *Waiters) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(w.untilDue(time.Since(w.epoch)))
		select {
		case <-timer.C:
			w.read(ctx, time.Since(w.epoch))
		case <-w.wake:
		case <-ctx.Done():
			return
		}
	}
}

// untilDue returns how long until somebody is due, a long time for nobody.
func (w *Waiters) untilDue(now time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.schedule) == 0 {
		return time.Hour
	}
	return max(0, w.schedule[0].due-now)
}

// read looks after all that are due: those whose spend is final are told, those
// at their deadline are told how it stands, the others are scheduled for theirs.
// A spend that is not there is one whose commit is still under way, or failed.
func (w *Waiters) read(ctx context.Context, now time.Duration) {
	ids, last := w.takeDue(now)
	for begin := 0; begin < len(ids); begin += readChunk {
		chunk := ids[begin:min(begin+readChunk, len(ids))]
		reading, cancel := context.WithTimeout(ctx, readPatience)
		spends, err := w.reader.Spends(reading, chunk)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				w.log.WarnContext(ctx, "reading for requests that wait", "requests", len(ids)-begin, "error", err)
			}
			break // the next query would fail as well: whoever is at the deadline is sent away now
		}
		w.tellAll(spends, last)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range last {
		w.finish(x, wakeup{})
	}
}

// takeDue returns the spends to read and the waiters at their deadline. Those that
// are half-way are scheduled for their deadline.
func (w *Waiters) takeDue(now time.Duration) (ids []string, last []*Waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	const far = 24 * time.Hour // out of the way until told; no wait is that long
	for len(w.schedule) > 0 && w.schedule[0].due <= now {
		x := w.schedule[0]
		ids = append(ids, x.spendID)
		if x.due < x.deadline {
			x.due = x.deadline
		} else {
			last = append(last, x)
			x.due = x.deadline + far
		}
		heap.Fix(&w.schedule, 0)
	}
	return ids, last
}

// tellAll wakes who waits for a spend that is final, and of those at their
// deadline also the others.
func (w *Waiters) tellAll(spends []economy.Spend, last []*Waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	standing := make(map[string]economy.Spend, len(last))
	for _, spend := range spends {
		if spend.State.Final() {
			w.tell(spend)
		} else if len(last) > 0 {
			standing[spend.ID] = spend
		}
	}
	for _, x := range last {
		if spend, ok := standing[x.spendID]; ok {
			w.finish(x, wakeup{spend, true})
		}
	}
}
