package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// generator makes effects from what the model holds.
type generator struct {
	*rand.Rand
	db     *database
	ids    int
	past   []outbox.Effects
	moment time.Time
}

func newGenerator(seed uint64) *generator {
	random := rand.New(rand.NewPCG(seed, 1))
	w := &world{scheduler: newScheduler(random), handOuts: map[outbox.Delivery]int64{}}
	w.db = newDatabase(w)
	w.db.alone = true
	return &generator{Rand: random, db: w.db, moment: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (g *generator) id() string {
	g.ids++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", g.ids)
}

func (g *generator) mostly() bool { return g.IntN(4) > 0 }

func (g *generator) at() time.Time { return g.moment.Add(time.Duration(g.IntN(1000)) * time.Second) }

func (g *generator) player() string { return players[g.IntN(len(players))] }

func (g *generator) lease() time.Duration { return time.Duration(g.IntN(2)) * time.Hour }

// next returns new effects, or some of before with the same id: a commit whose
// answer was lost.
func (g *generator) next() outbox.Effects {
	if len(g.past) > 0 && g.IntN(6) == 0 {
		return g.past[len(g.past)-1-g.IntN(min(4, len(g.past)))]
	}
	effects := g.effects()
	effects.ID = g.id()
	g.past = append(g.past, effects)
	return effects
}

func (g *generator) effects() outbox.Effects {
	if len(g.db.spends) < 4 || g.IntN(8) == 0 {
		return g.accept()
	}
	s := g.db.spends[g.IntN(len(g.db.spends))]
	delivery := outbox.Delivery{EventID: s.ID + "." + []string{"requested", "charged", "refunding"}[g.IntN(3)], Consumer: specs[g.IntN(3)].Name}
	switch die := g.IntN(20); {
	case die < 5 || len(g.db.adjustments) == 0:
		return outbox.Effects{Guard: g.bind(s)}
	case die < 14:
		return g.adjust(g.db.adjustments[max(0, len(g.db.adjustments)-1-g.IntN(4))])
	case die < 17:
		return g.step(s)
	case die == 17:
		return outbox.Effects{Guard: outbox.Finish(delivery)}
	case die == 18:
		return outbox.Effects{Guard: outbox.Park{Delivery: delivery, Wait: g.lease(), Attempts: 1 + g.IntN(3), Error: `"odd" \ words`}}
	default:
		return outbox.Effects{Guard: outbox.DeadLetter{Delivery: delivery, Payload: []byte("x\x00"), Attempts: 3, Error: "e"}}
	}
}

func (g *generator) accept() outbox.Effects {
	player, item := g.player(), catalog.Items[items[g.IntN(len(items))]]
	spend := economy.Spend{
		ID: g.id(), AppUserID: player, IdempotencyKey: fmt.Sprint("key ", g.IntN(12)), Item: item.ID, Quantity: 1 + int64(g.IntN(2)),
		Cost: item.Price, CatalogVersion: 1, AcceptedAt: g.at(),
	}
	return outbox.Effects{
		Guard:  books.Accept{Spend: spend, PlayerLimit: item.PlayerLimit},
		Events: factsOf(spend, economy.Requested, g.at()),
	}
}

func (g *generator) bind(s *spendRow) adjustments.Bind {
	bound := []economy.Spend{s.Spend}
	if other := g.db.spends[g.IntN(len(g.db.spends))]; other.AppUserID == s.AppUserID && other != s && g.IntN(3) == 0 {
		bound = append(bound, other.Spend)
	}
	bound[0].State = economy.Requested
	a := adjustments.Adjustment{
		ID: g.id(), AppUserID: s.AppUserID, Purpose: adjustments.Charge, Body: `{"a":"\\"}`, Deltas: s.Cost, LeasedBy: g.process(), OpenedAt: g.at(),
	}
	a.IdempotencyKey = a.ID + ":charge"
	if s.State == economy.Refunding || g.IntN(8) == 0 {
		bound = bound[:1]
		bound[0].State, a.Purpose, a.SpendID, a.IdempotencyKey = economy.Refunding, adjustments.Refund, s.ID, s.ID+":refund"
	}
	return adjustments.Bind{Adjustment: a, Spends: bound, Lease: g.lease()}
}

func (g *generator) process() string { return []string{"p0", "p1"}[g.IntN(2)] }

// adjust takes, gives back or settles an adjustment.
func (g *generator) adjust(a *adjustmentRow) outbox.Effects {
	attempt := a.Attempts
	if !g.mostly() {
		attempt += int64(g.IntN(3)) - 1
	}
	switch g.IntN(3) {
	case 0:
		return outbox.Effects{Guard: adjustments.Lease{AdjustmentID: a.ID, Process: g.process(), Attempt: attempt + 1, For: g.lease()}}
	case 1:
		attempted := adjustments.Attempted{AdjustmentID: a.ID, Attempt: attempt, Error: "no answer"}
		if g.IntN(2) == 0 {
			attempted.UnknownSince = g.at()
		}
		return outbox.Effects{Guard: attempted}
	}
	outcome := []economy.OutcomeKind{economy.Applied, economy.Insufficient, economy.Refused}[g.IntN(3)]
	settled := adjustments.Settled{AdjustmentID: a.ID, Attempt: attempt, Outcome: outcome, At: g.at(), Detail: "d"}
	effects := outbox.Effects{Guard: settled, Rows: books.AnsweredBalances(a.AppUserID, economy.Amounts{"GEM": economy.Amount(g.IntN(99))}, g.at())}
	for _, s := range a.spends {
		change := economy.Settle(s.Spend, economy.Outcome{Kind: outcome}, g.at())
		if a.Purpose == adjustments.Refund {
			change = economy.SettleRefund(s.Spend, economy.Outcome{Kind: outcome}, g.at())
		}
		if change.Empty() {
			continue
		}
		effects.Rows = append(effects.Rows, books.Follow(change, g.at())...)
		effects.Events = append(effects.Events, factsOf(change.Spend, change.Spend.State, g.at())...)
		effects.Done = append(effects.Done, outbox.Delivery{EventID: s.ID + ".requested", Consumer: adjustments.ChargeConsumer})
	}
	return effects
}

// step is a step of the saga, now and then one that the spend's state forbids.
func (g *generator) step(s *spendRow) outbox.Effects {
	spend := s.Spend
	if !g.mostly() {
		spend.State = economy.States[g.IntN(len(economy.States))]
	}
	change := economy.HandedOver(spend, &economy.Grant{SpendID: s.ID, AppUserID: s.AppUserID, Item: s.Item, Quantity: s.Quantity}, g.at())
	if g.IntN(2) == 0 {
		change = economy.HandOverRefusedFor(spend)
	}
	if change.Empty() {
		next := spend
		next.State = economy.States[g.IntN(len(economy.States))]
		change = economy.Change{From: spend.State, Spend: next, Release: spend.Limited}
	}
	return outbox.Effects{
		Guard: books.Move{Change: change}, Rows: books.With(change, g.at()), Events: factsOf(change.Spend, change.Spend.State, g.at()),
		Done: []outbox.Delivery{{EventID: s.ID + ".charged", Consumer: "fulfil"}},
	}
}
