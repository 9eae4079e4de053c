package budget

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// extraMax bounds the permits a process holds ready.
const extraMax = 1024

// desk hands out the permits of one domain in this process. All but run's
// goroutine's own is guarded by the budget's mu.
type desk struct {
	budget *Budget
	domain revenuecat.Domain
	kick   chan struct{}
	line   line
	away   away

	ready        []Permit  // for calls still to come
	unused       []counted // to be given back with the next lease
	started      int       // calls since startedSince
	startedSince time.Time
	closedUntil  time.Time
	again        time.Time // the last lease did not reach everybody: none before
	room         int       // how many calls will start within the horizon, as the last lease said

	limit    int // the provider's, as last known; 0: not known
	limitNew bool
	usage    int // what the provider said it counted, at usageAt
	usageAt  time.Time
	demand   perWeight // who waited in all processes at the last look
}

// take returns a permit that is ready, or waits in line for one.
func (d *desk) take(ctx context.Context, w *waiter) (Permit, error) {
	if err := ctx.Err(); err != nil {
		return Permit{}, fmt.Errorf("budget: %w", err)
	}
	b := d.budget
	b.mu.Lock()
	now := b.config.Now()
	if pause := d.closedUntil.Sub(now); pause > horizon {
		defer b.mu.Unlock()
		return Permit{}, &NotYet{Domain: d.domain, After: d.away.send(w, now, pause, 0), Why: whyClosed}
	}
	if wait := d.away.expected(w.weight, w.player, now); wait > horizon && d.line.calls()[w.weight] >= max(1, d.room) {
		defer b.mu.Unlock() // others keep the provider busy until then
		return Permit{}, &NotYet{Domain: d.domain, After: d.away.send(w, now, horizon, 0), Why: whyFull}
	}
	if d.line.calls().total() == 0 && len(d.ready) > 0 && now.Before(d.ready[0].good) {
		permit := d.ready[0]
		d.ready = d.ready[1:]
		b.mu.Unlock()
		return permit, nil
	}
	d.line.push(w)
	b.mu.Unlock()
	d.wake()
	select {
	case v := <-w.answer:
		return v.permit, v.err
	case <-ctx.Done():
	case <-b.ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !d.line.remove(w) { // the answer came at the same moment
		if v := <-w.answer; v.err == nil {
			d.giveBack(v.permit.until, 1)
		}
	}
	if err := ctx.Err(); err != nil {
		return Permit{}, fmt.Errorf("budget: %w", err)
	}
	return Permit{}, errClosed
}

// start is the last look before a call: a pause may have come, or the permit have
// lapsed, since it was handed out.
func (d *desk) start(p Permit) bool {
	d.budget.mu.Lock()
	defer d.budget.mu.Unlock()
	if !d.good(p) {
		d.giveBack(p.until, 1)
		return false
	}
	d.started++
	return true
}

func (d *desk) good(p Permit) bool {
	now := d.budget.config.Now()
	return !now.Before(d.closedUntil) && now.Before(p.good)
}

func (d *desk) giveBack(until int64, n int) { d.unused = window(d.unused).add(until, n) }

// void gives back what is ready: a pause came, or notices of one may be missed.
func (d *desk) void() {
	for _, p := range d.ready {
		d.giveBack(p.until, 1)
	}
	d.ready = nil
}

// close keeps calls of this process from starting before a moment.
func (d *desk) close(until time.Time) {
	if until.After(d.closedUntil) {
		d.closedUntil = until
	}
	d.void()
	d.wake()
}

func (d *desk) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// run leases permits for as long as somebody waits.
func (d *desk) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-d.budget.ctx.Done():
			return
		case <-d.kick:
		case <-timer.C:
		}
		timer.Stop()
		if again := d.round(d.budget.ctx); again > 0 {
			timer.Reset(again)
		}
	}
}

// round makes one lease, if there is anything to ask or to tell, and returns when
// to make the next; 0: when somebody comes.
func (d *desk) round(ctx context.Context) time.Duration {
	b := d.budget
	b.mu.Lock()
	sentAt := b.config.Now()
	if pause := d.closedUntil.Sub(sentAt); pause > 0 {
		if pause > horizon {
			d.sendAway(perWeight{}, pause, 0, whyClosed, nil)
		}
		b.mu.Unlock()
		return pause
	}
	if len(d.ready) > 0 && !sentAt.Before(d.ready[0].good) {
		d.void()
	}
	if early := d.again.Sub(sentAt); early > 0 {
		b.mu.Unlock()
		return early
	}
	k, needed := d.ask(sentAt)
	limit := 0
	if d.limitNew {
		limit, d.limitNew = d.limit, false
	}
	b.mu.Unlock()
	if !needed {
		return d.lapse()
	}
	r, g, err := b.store.lease(ctx, d.domain, limit, func(r *record) grant {
		return r.account.lease(b.terms(*r), r.Now, k)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		return d.failed(ctx, k, limit, err)
	}
	d.learn(r)
	return d.serve(k, g, sentAt)
}

// terms are those of one record.
func (b *Budget) terms(r record) terms {
	return terms{
		limit: b.limitLeft(r.Limit), span: b.config.Window.Milliseconds(), lease: b.config.Lease.Milliseconds(),
		closedUntil: r.ClosedUntil, reopenedAt: max(r.ClosedUntil, r.CircuitFrom),
	}
}

// ask says what this process wants, or has to tell; needed is false when neither.
func (d *desk) ask(now time.Time) (k ask, needed bool) {
	k = ask{process: d.budget.config.Process, calls: d.line.calls(), players: d.line.players(), unused: d.unused}
	if k.calls.total() == 0 && len(k.unused) == 0 && !d.limitNew {
		return k, false
	}
	if d.budget.hearing { // calls of late say how many come within the next lease
		lease := d.budget.config.Lease
		k.extra = min(extraMax, int(float64(d.started)*float64(lease)/float64(max(lease, now.Sub(d.startedSince)))))
	}
	d.started, d.startedSince = 0, now
	if now.Sub(d.usageAt) < 2*time.Second {
		k.usage = d.usage
	}
	d.unused, d.usage = nil, 0
	return k, true
}

// lapse says when what is ready is to be given back.
func (d *desk) lapse() time.Duration {
	d.budget.mu.Lock()
	defer d.budget.mu.Unlock()
	if len(d.ready) == 0 {
		return 0
	}
	return max(time.Millisecond, d.ready[0].good.Sub(d.budget.config.Now()))
}

// failed sends everybody away: without PostgreSQL nothing starts.
func (d *desk) failed(ctx context.Context, k ask, limit int, err error) time.Duration {
	for _, c := range k.unused {
		d.giveBack(c.Until, c.Calls)
	}
	d.limitNew = limit > 0 && limit == d.limit
	if ctx.Err() == nil {
		d.budget.config.Log.WarnContext(ctx, "budget", "domain", string(d.domain), "error", err)
	}
	d.sendAway(perWeight{}, horizon, 0, whyUnsure, err)
	return horizon
}
