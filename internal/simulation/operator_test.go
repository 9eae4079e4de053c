package simulation

import (
	"context"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
)

// operate is an operator who settles one of the spends that are shown as
// unknown, as it truly is. There is one operator at a time.
func (w *world) operate() {
	var shown []*spendRow
	for _, s := range w.db.spends {
		if !s.UnknownSince.IsZero() {
			shown = append(shown, s)
		}
	}
	if w.operating || len(shown) == 0 {
		return
	}
	w.operating = true
	s := shown[w.random.IntN(len(shown))]
	w.spawn("operator", nil, func() {
		w.decide(s.Spend)
		w.operating = false
	})
}

// decide looks up at the provider what came of the spend's adjustment, and says so.
func (w *world) decide(spend economy.Spend) {
	w.pause("look at " + spend.ID)
	a := w.db.asideOf(spend)
	if a == nil {
		a = w.db.openOf(spend.AppUserID)
	}
	if a == nil {
		return
	}
	_, applied := w.rc.applied[a.IdempotencyKey]
	if w.wrong.oldWord {
		w.pause("say what was seen of " + spend.ID)
	}
	var turns adjustments.Turns = atOnce{w.db}
	if w.wrong.leaseBlind {
		turns = leaseBlind{turns}
	}
	w.say("operator: %s of %s, applied: %t", a.ID, spend.ID, applied)
	settled, err := adjustments.Decide(context.Background(), turns, committer{w}, spend, adjustments.Decision{Applied: applied, Reason: "the export"}, w.now())
	w.say("operator: %s settled: %v %v", a.ID, settled, err)
	if err == nil {
		w.met("settled by an operator")
	}
}

// atOnce reads without a pause: the operator looks at the provider and at our
// tables in the same moment.
type atOnce struct{ *database }

func (a atOnce) Turn(_ context.Context, player string, limit int) (adjustments.Turn, error) {
	return a.turn(player, limit), nil
}

func (a atOnce) Aside(_ context.Context, spend economy.Spend) (adjustments.Turn, error) {
	return a.about(a.asideOf(spend)), nil
}

// leaseBlind reads an adjustment as if nobody held its lease.
type leaseBlind struct{ adjustments.Turns }

func (l leaseBlind) Turn(ctx context.Context, player string, limit int) (adjustments.Turn, error) {
	turn, err := l.Turns.Turn(ctx, player, limit)
	return unleased(turn), err
}

func (l leaseBlind) Aside(ctx context.Context, spend economy.Spend) (adjustments.Turn, error) {
	turn, err := l.Turns.Aside(ctx, spend)
	return unleased(turn), err
}

func unleased(turn adjustments.Turn) adjustments.Turn {
	if turn.Open != nil {
		turn.Open.LeasedBy = ""
	}
	return turn
}
