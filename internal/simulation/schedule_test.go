package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

const (
	stepsMax = 400              // of the time in which things go wrong
	passMax  = 9 * time.Minute  // the time after it in which nobody waits for what is unknown any more
	restMax  = 25 * time.Minute // and the time in which everything must come to rest
	handsMax = 8                // deliveries in hand at once
)

// run is one schedule: bad days, then calm ones, then the reckoning.
func (w *world) run() {
	steps := 50 + w.random.IntN(stepsMax)
	for step := 0; step < steps && w.failure == ""; step++ {
		w.act()
	}
	w.rest()
}

// rush is a run in which everybody has asked for everything before anybody works,
// with little to pay and the belief that there is more.
func (w *world) rush() {
	for _, player := range players {
		if has := w.rc.balances[player]["GEM"]; has > 40 {
			w.rc.give(player, economy.Amounts{"GEM": 40 - has})
		}
		w.db.balances[[2]string{player, "GEM"}] = keptBalance{100, w.born}
		w.sole[player] = false
	}
	for n := range 6 {
		w.intake = append(w.intake, request{players[0], items[w.random.IntN(len(items))], fmt.Sprint("rush/", n)})
	}
	for len(w.intake)+len(w.tasks) > 0 {
		if len(w.tasks) > 0 {
			w.step(w.anyTask())
		} else {
			w.ask()
		}
	}
	w.run()
}

// rest ends all faults and checks that everything comes to rest as it should.
func (w *world) rest() {
	w.say("all is calm now")
	w.calm = true
	clear(w.rc.away)
	for _, s := range w.db.spends {
		s.Held = false
	}
	w.until(passMax, w.passing)
	w.until(restMax, w.settled)
	w.checkStuck()
	w.until(restMax, func() bool { w.operate(); return w.resting() })
	if w.failure == "" {
		w.checkAlways()
		w.checkEnd()
	}
}

// passing reports whether no spend waits but for an answer about itself.
func (w *world) passing() bool {
	for _, s := range w.db.spends {
		if a := w.db.asideOf(s.Spend); !s.State.Final() && a == nil && s.NeedsOperator == "" {
			return false
		}
	}
	return len(w.intake)+len(w.late) == 0
}

// settled reports whether only an operator has something left to do.
func (w *world) settled() bool {
	if len(w.intake)+len(w.late)+len(w.tasks) > 0 {
		return false
	}
	for _, s := range w.db.spends {
		if !s.State.Final() && s.NeedsOperator == "" && !w.stuck(s) {
			return false
		}
	}
	return !slices.ContainsFunc(w.db.outbox, func(row *outboxRow) bool {
		id, _, _ := strings.Cut(row.event, ".")
		return !w.stuck(w.db.spend(id))
	})
}

// stuck reports whether the provider will never say again what came of a spend.
func (w *world) stuck(s *spendRow) bool {
	a := w.db.asideOf(s.Spend)
	return a != nil && w.rc.stuck[a.IdempotencyKey]
}

// until lets things happen until a condition holds, which it must in time.
func (w *world) until(patience time.Duration, holds func() bool) {
	for limit := w.now().Add(patience); w.failure == "" && !holds(); {
		w.act()
		if w.now().After(limit) {
			w.broken("after %s: %s", patience, w.unrest())
		}
	}
}

// resting reports whether nothing is left to do.
func (w *world) resting() bool {
	return len(w.intake)+len(w.tasks)+len(w.late)+len(w.stream.unfinished)+len(w.db.outbox) == 0
}

// unrest says who does not come to rest.
func (w *world) unrest() string {
	for _, s := range w.db.spends {
		if !s.State.Final() {
			return s.String() + " does not come to rest"
		}
	}
	if len(w.db.outbox) > 0 {
		return "the outbox still owes " + w.db.outbox[0].event
	}
	return "something is in hand"
}

// act does one thing of those that can happen now.
func (w *world) act() {
	w.pass(time.Duration(w.random.IntN(900_000) + 1)) // every step takes some time
	if at := slices.IndexFunc(w.late, func(l lateCommit) bool { return !l.at.After(w.now()) }); at >= 0 {
		late := w.late[at]
		w.late = slices.Delete(w.late, at, at+1)
		_, _ = w.db.commit(late.effects)
		return
	}
	if w.fault() {
		return
	}
	if w.calm && !w.operating {
		w.release()
	}
	waiting := w.stream.waiting()
	can := []choice{
		{len(w.tasks) > 0, 12, func() { w.step(w.anyTask()) }},
		{len(waiting) > 0 && len(w.tasks) < handsMax, 5, func() { w.handOut(waiting[w.random.IntN(len(waiting))]) }},
		{len(w.intake) > 0, 3, w.ask},
		{w.now().Sub(w.swept) >= sweepInterval, 3, w.sweep},
		{!w.calm || len(w.tasks)+len(waiting) == 0, 3, w.wait},
	}
	pick(w.random, can)
}

type choice struct {
	possible bool
	weight   int
	do       func()
}

func pick(random *rand.Rand, can []choice) {
	total := 0
	for _, c := range can {
		if c.possible {
			total += c.weight
		}
	}
	if total == 0 {
		return
	}
	at := random.IntN(total)
	for _, c := range can {
		if !c.possible {
			continue
		}
		if at -= c.weight; at < 0 {
			c.do()
			return
		}
	}
}

// fault lets one of the faults happen that need no occasion.
func (w *world) fault() bool {
	p := w.workers[w.random.IntN(len(w.workers))]
	f := w.faults
	switch {
	case !p.up && (w.calm || w.random.IntN(10) == 0):
		p.start()
	case p.up && w.chance(f.Crash):
		p.crash()
	case w.chance(f.Wipe):
		w.stream.wipe()
	case w.chance(f.Redelivered):
		w.stream.redeliver()
	case w.chance(f.TopUp):
		w.foreign(1)
	case w.chance(f.TakenBack):
		w.foreign(-1)
	case w.chance(f.Mirror):
		w.mirror()
	case w.chance(f.Operator):
		w.operate()
	case w.chance(f.Hold):
		w.hold()
	case w.chance(f.Cancel):
		w.operateOn(economy.Requested, (*world).cancel)
	case w.chance(f.Refund):
		w.operateOn(economy.Fulfilled, (*world).reclaim)
	case w.chance(f.GiveUp):
		w.operateOn(economy.Refunding, (*world).giveUp)
	default:
		return false
	}
	return true
}

func (w *world) handOut(m *message) {
	if p := w.workers[w.random.IntN(len(w.workers))]; p.up {
		p.work(m)
	}
}

// wait lets time pass: mostly moments, sometimes long enough for a lease or a
// parked delivery to run out.
func (w *world) wait() {
	most := 50 * time.Millisecond
	switch die := w.random.IntN(20); {
	case w.calm:
		w.pass(w.idle())
		return
	case w.chance(w.faults.Lull):
		most = 7 * time.Minute
	case die < 6:
		most = time.Second
	case die < 8:
		most = 5 * time.Second
	case w.chance(w.faults.Stall * 5):
		most = 20 * time.Second
	}
	w.pass(w.upTo(most))
}

// idle returns the time until something can happen again.
func (w *world) idle() time.Duration {
	until := w.now().Add(time.Minute)
	for _, m := range w.stream.unfinished {
		if m.holder == nil && m.ready.Before(until) {
			until = m.ready
		}
	}
	for _, row := range w.db.outbox {
		if next := w.swept.Add(sweepInterval); !row.due.After(next) && next.Before(until) {
			until = next
		} else if row.due.Before(until) && row.due.After(next) {
			until = row.due
		}
	}
	return max(until.Sub(w.now()), time.Millisecond)
}

// pass lets simulated time go on, but not beyond a late commit.
func (w *world) pass(d time.Duration) {
	for _, late := range w.late {
		d = min(d, max(late.at.Sub(w.now()), 0))
	}
	time.Sleep(d) //nolint:forbidigo // simulated time, in a bubble of synctest
}
