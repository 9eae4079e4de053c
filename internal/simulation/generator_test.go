package simulation

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
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
	w := &world{scheduler: newScheduler(random), handOuts: map[outbox.Delivery]int64{}, count: map[string]int{}}
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

// crowd are the generator's players.
var crowd = []string{"anna", "ben", "carl", "dora"}

func (g *generator) player() string { return crowd[g.IntN(len(crowd))] }

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
		return outbox.Effects{Guard: g.bind(oneThat(g, g.db.spends, (*spendRow).waits))}
	case die < 14:
		return g.adjust(oneThat(g, g.db.adjustments, (*adjustmentRow).unresolved))
	case die < 16:
		return g.step(s)
	case die < 17:
		return g.operate(s)
	case die == 17:
		return outbox.Effects{Guard: outbox.Finish(delivery)}
	case die == 18:
		return outbox.Effects{Guard: outbox.Park{Delivery: delivery, Wait: g.lease(), Attempts: 1 + g.IntN(3), Error: `"odd" \ words`}}
	default:
		return outbox.Effects{Guard: outbox.DeadLetter{Delivery: delivery, Payload: []byte("x\x00"), Attempts: 3, Error: "e"}}
	}
}

// oneThat picks one of the rows, mostly one that can go on.
func oneThat[T any](g *generator, rows []T, can func(T) bool) T {
	for range g.IntN(8) {
		if row := rows[g.IntN(len(rows))]; can(row) {
			return row
		}
	}
	return rows[g.IntN(len(rows))]
}

func (g *generator) accept() outbox.Effects {
	player, item := g.player(), catalog.Items[items[g.IntN(len(items)-1)]] // the last is no item
	spend := economy.Spend{
		ID: g.id(), AppUserID: player, IdempotencyKey: fmt.Sprint("key ", g.IntN(60)), Item: item.ID, Quantity: 1 + int64(g.IntN(2)),
		Cost: item.Price, CatalogVersion: 1, AcceptedAt: g.at(),
	}
	accept := books.Accept{Spend: spend, PlayerLimit: item.PlayerLimit, OpenMax: int64(g.IntN(3) * 8)}
	if g.IntN(6) == 0 {
		accept.Spend.Kind, accept.Spend.Item, accept.Spend.Quantity, accept.Spend.CatalogVersion = economy.KindGrant, "", 1, 0
		accept.Spend.Limited, accept.Spend.Note, accept.PlayerLimit = false, "a quest", 0
	}
	return outbox.Effects{
		Guard:  accept,
		Events: factsOf(spend, economy.Requested, g.at()),
	}
}

func (g *generator) bind(s *spendRow) adjustments.Bind {
	bound, beside := []economy.Spend{s.Spend}, []economy.Spend(nil)
	for _, other := range g.db.spends {
		if other.AppUserID != s.AppUserID || other == s || (other.AdjustmentID != "" && g.mostly()) {
			continue
		}
		switch g.IntN(4) {
		case 0, 1:
			bound = append(bound, other.Spend)
		case 2:
			beside = append(beside, other.Spend)
		}
	}
	bound[0].State = economy.Requested
	a := adjustments.Adjustment{
		ID: g.id(), AppUserID: s.AppUserID, Purpose: adjustments.Charge, Body: `{"a":"\\"}`, Deltas: s.Cost, LeasedBy: g.process(), OpenedAt: g.at(),
	}
	a.IdempotencyKey = a.ID + ":charge"
	if s.Kind == economy.KindGrant {
		bound, beside, a.Purpose, a.IdempotencyKey = bound[:1], nil, adjustments.Grant, s.ID+":grant"
	}
	if s.State == economy.Refunding || g.IntN(8) == 0 {
		bound, beside = bound[:1], nil
		bound[0].State, a.Purpose, a.SpendID, a.IdempotencyKey = economy.Refunding, adjustments.Refund, s.ID, s.ID+":refund"
	}
	return adjustments.Bind{Adjustment: a, Spends: bound, Beside: beside, Lease: g.lease()}
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
		attempted.Aside = g.IntN(3) == 0
		return outbox.Effects{Guard: attempted}
	}
	outcome := []economy.OutcomeKind{economy.Applied, economy.Insufficient, economy.Refused}[g.IntN(3)]
	settled := adjustments.Settled{AdjustmentID: a.ID, Attempt: attempt, Outcome: outcome, At: g.at(), Detail: "d", Concluded: g.IntN(4) == 0}
	if g.mostly() {
		settled.AnsweredAsOf = g.at()
	}
	effects := outbox.Effects{Guard: settled, Rows: books.AnsweredBalances(a.AppUserID, economy.Amounts{"GEM": economy.Amount(g.IntN(99))}, cmp.Or(settled.AnsweredAsOf, g.at()))}
	concerned := slices.Clone(a.spends)
	if outcome != economy.Applied && a.Purpose == adjustments.Charge && g.mostly() {
		effects.Rows, concerned = append(effects.Rows, g.unbind(a)), nil // free again, and others declined on evidence
	}
	for _, s := range g.db.spends {
		if outcome == economy.Insufficient && s.AppUserID == a.AppUserID && s.waits() && g.IntN(2) == 0 {
			concerned = append(concerned, s)
		}
	}
	for _, s := range concerned {
		change := settle(a.Purpose, s.Spend, economy.Outcome{Kind: outcome}, g.at())
		if change.Empty() {
			continue
		}
		effects.Rows = append(effects.Rows, books.Follow(change, g.at())...)
		effects.Events = append(effects.Events, factsOf(change.Spend, change.Spend.State, g.at())...)
		effects.Done = append(effects.Done, outbox.Delivery{EventID: s.ID + ".requested", Consumer: adjustments.ChargeConsumer})
	}
	return effects
}

// unbind returns the row that sets an adjustment's spends free, as the package
// writes it when the provider refuses several.
func (g *generator) unbind(a *adjustmentRow) outbox.Row {
	wanted := &overheard{turn: adjustments.Turn{Open: &adjustments.Adjustment{ID: a.ID, Purpose: adjustments.Charge}, Spends: make([]economy.Spend, 2)}}
	teller := adjustments.NewTeller(adjustments.Config{
		Turns: wanted, Committer: wanted, Now: g.at, Log: quiet,
		Provider: adjuster(func(context.Context, revenuecat.Request) economy.Outcome {
			return economy.Outcome{Kind: economy.Insufficient}
		}),
	})
	_ = teller.Resolve(context.Background(), economy.Spend{})
	return wanted.effects.Rows[0]
}

// overheard keeps the last effects that a teller commits in a turn.
type overheard struct {
	turn    adjustments.Turn
	effects outbox.Effects
}

func (o *overheard) Turn(context.Context, string, int) (adjustments.Turn, error) { return o.turn, nil }

func (o *overheard) Waiting(context.Context, string, int64, int) (adjustments.Turn, error) {
	return o.turn, nil
}

func (o *overheard) Aside(context.Context, economy.Spend) (adjustments.Turn, error) {
	return o.turn, nil
}

func (o *overheard) Commit(_ context.Context, effects outbox.Effects) (outbox.Result, error) {
	o.effects = effects
	return outbox.Applied, nil
}

// settle is what the outcome of an adjustment means for a spend.
func settle(purpose adjustments.Purpose, s economy.Spend, outcome economy.Outcome, at time.Time) economy.Change {
	switch purpose {
	case adjustments.Refund:
		return economy.SettleRefund(s, outcome, at)
	case adjustments.Grant:
		return economy.SettleGrant(s, outcome, at)
	case adjustments.Charge:
	}
	return economy.Settle(s, outcome, at)
}

// step is a step of the saga, now and then one that the spend's state forbids.
func (g *generator) step(s *spendRow) outbox.Effects {
	spend := s.Spend
	if !g.mostly() {
		spend.State = economy.States[g.IntN(len(economy.States))]
	}
	if spend.Kind == economy.KindGrant {
		spend.State = economy.Requested // nothing else may be done with it
	}
	change := economy.HandedOver(spend, &economy.Grant{SpendID: s.ID, AppUserID: s.AppUserID, Item: s.Item, Quantity: s.Quantity}, g.at())
	if g.IntN(2) == 0 {
		change = economy.HandOverRefusedFor(spend)
	}
	if change.Empty() {
		next := spend
		next.State = economy.States[g.IntN(len(economy.States))]
		if next.FinishedAt = (time.Time{}); next.State.Final() == g.mostly() {
			next.FinishedAt = g.at()
		}
		change = economy.Change{From: spend.State, Spend: next, Release: spend.Limited}
	}
	var guard outbox.GuardRow = books.Move{Change: change}
	switch die := g.IntN(6); {
	case die == 0:
		guard = books.SettleHandOver{Change: change, Note: "sold out"}
	case die == 1 && spend.State == economy.Refunding:
		if change = economy.TakenBack(spend, g.at()); g.IntN(3) == 0 || change.Empty() {
			change = economy.Kept(s.Spend, g.at())
		}
		if change.Empty() {
			change = economy.Change{From: spend.State, Spend: spend}
		}
		guard = books.SettleHandOver{Change: change}
	}
	return outbox.Effects{
		Guard: guard, Rows: books.With(change, g.at()), Events: factsOf(change.Spend, change.Spend.State, g.at()),
		Done: []outbox.Delivery{{EventID: s.ID + ".charged", Consumer: "fulfil"}},
	}
}
