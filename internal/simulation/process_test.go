package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/consumers"
	"github.com/sluice-gems/sluice/consumers/adjust"
	"github.com/sluice-gems/sluice/consumers/compensate"
	"github.com/sluice-gems/sluice/consumers/fulfil"
	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// process is one worker: the real consumers, runners and teller over the models.
// What it keeps in memory dies with it.
type process struct {
	*world
	number  int
	starts  int
	up      bool
	runners map[string]*consumers.Runner

	admitted int // calls that may start, and neither did nor were given back
}

func (p *process) name() string { return fmt.Sprintf("p%d.%d", p.number, p.starts) }

// start brings the process up with nothing in memory and another name.
func (p *process) start() {
	p.starts++
	p.up, p.admitted = true, 0
	var committer adjustments.Committer = committer{world: p.world}
	var turns adjustments.Turns = p.db
	var provider adjustments.Provider = p.rc
	if p.wrong.committer != nil {
		committer = p.wrong.committer(p.world, committer)
	}
	if p.wrong.turns != nil {
		turns = p.wrong.turns(p.world, turns)
	}
	if p.wrong.provider != nil {
		provider = p.wrong.provider(p.world, provider)
	}
	teller := adjustments.NewTeller(adjustments.Config{
		Turns: turns, Committer: committer, Admission: admission{p, provider}, Process: p.name(),
		NewID: func() string { return p.newID("a") }, Now: time.Now, Log: quiet,
	})
	var asks endpoints = p.world.game.endpoints(p.confirm)
	if p.wrong.endpoints != nil {
		asks = p.wrong.endpoints(p.world, asks)
	}
	if p.soleWriter {
		teller.SoleWriter = soleWriter{p.db, p.rc}
	}
	p.runners = map[string]*consumers.Runner{}
	for _, consumer := range []consumers.Consumer{
		adjust.Consumer{Teller: teller, Spends: p.db},
		fulfil.Consumer{Spends: p.db, Catalogs: p.db, Endpoints: asks, Patience: gamePatience, Now: time.Now},
		compensate.Consumer{Teller: teller, Spends: p.db, Catalogs: p.db, Endpoints: asks, Committer: committer, Now: time.Now},
	} {
		p.runners[consumer.Spec().Name] = &consumers.Runner{
			Consumer: consumer, Committer: committer, Log: quiet, Metrics: metrics, Jitter: p.random.Float64,
		}
	}
}

// endpoints are what the consumers know of the game.
type endpoints interface {
	fulfil.Endpoints
	compensate.Endpoints
}

// soleWriter settles by readings where it may: nobody else moves the balances of
// players who are alone.
type soleWriter struct {
	*database
	*provider
}

func (s soleWriter) Base(ctx context.Context, open *adjustments.Adjustment) (economy.Amounts, bool, error) {
	if !s.database.sole[open.AppUserID] && !s.database.wrong.readAnyway {
		return nil, false, nil
	}
	return s.database.Base(ctx, open)
}

func (s soleWriter) Balances(ctx context.Context, player string) (revenuecat.Reading, error) {
	s.database.met("a reading of balances")
	return s.provider.Balances(ctx, player)
}

// crash ends the process where it stands. The broker hands out again what it had
// in hand once it has waited long enough for a sign of life.
func (p *process) crash() {
	p.say("%s dies", p.name())
	p.up = false
	p.kill(p)
	p.stream.orphan(p)
}

// work starts the delivery of a message in this process.
func (p *process) work(m *message) {
	m.deliveries++
	m.holder = p
	delivery := outbox.Delivery{EventID: m.event.ID, Consumer: m.consumer}
	p.handOuts[delivery]++
	p.spawn(p.name()+" "+m.consumer+" "+m.event.ID, p, func() {
		p.say("delivery %d of %s", m.deliveries, m.id)
		msg, nakWait := broker.Handmade(context.Background(), m.id, m.payload, m.header, m.deliveries)
		err := p.runners[m.consumer].Handle(msg)
		p.pause("answer " + m.id)
		if err == nil {
			p.stream.ack(m)
			return
		}
		p.say("nak for %s: %v", nakWait(), err)
		p.stream.nak(m, nakWait())
	})
}

// committer models outbox.Committer as its callers see it.
type committer struct{ *world }

// errBehind is what a caller hears of a commit it knows nothing about.
var errBehind = fmt.Errorf("%w: the answer was lost", outbox.ErrUnavailable)

// Commit implements the committers of the consumers and the teller.
func (c committer) Commit(_ context.Context, effects outbox.Effects) (outbox.Result, error) {
	if effects.ID == "" {
		effects.ID = c.newID("e")
	}
	what := effects.Guard.Kind().Name + " " + effects.Guard.GuardKey()
	c.pause("commit " + what)
	switch {
	case c.chance(c.faults.CommitFails):
		c.say("commit %s: not committed", what)
		return 0, errBehind
	case c.chance(c.faults.CommitLate):
		c.say("commit %s: will be late", what)
		c.world.late = append(c.world.late, lateCommit{c.now().Add(c.upTo(3 * time.Second)), effects})
		return 0, errBehind
	}
	result, err := c.db.commit(effects)
	c.pause("answer to commit " + what)
	if c.chance(c.faults.CommitLost) {
		c.say("commit %s: answer lost", what)
		return 0, errBehind
	}
	if c.chance(c.faults.CommitTwice) {
		result, err = c.db.commit(effects)
		c.pause("answer to commit again " + what)
	}
	var data *outbox.DataError
	if errors.As(err, &data) {
		c.broken("the database refuses %s: %v", what, err)
	}
	if err != nil {
		return 0, err
	}
	if result == outbox.Applied {
		for _, event := range effects.Events {
			c.stream.publish(event, event.ID, nil)
		}
	}
	return result, nil
}

func (w *world) upTo(most time.Duration) time.Duration {
	return time.Duration(w.random.Int64N(int64(most))) + 1
}
