package simulation

import (
	"context"
	"errors"

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

// decide looks up at the provider what came of the spend's adjustment and, some time
// later, says so. What it says is as of the attempts that were over when it looked.
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
	seen := a.Attempts
	if a.LeasedBy != "" && a.leasedUntil.After(w.now()) && !w.wrong.leaseBlind {
		seen--
	}
	w.pause("say what was seen of " + spend.ID)
	if w.wrong.oldWord {
		seen = a.Attempts
	}
	var turns adjustments.Turns = w.db
	if w.wrong.leaseBlind {
		turns = leaseBlind{turns}
	}
	w.say("operator: %s of %s, applied: %t, as of attempt %d", a.ID, spend.ID, applied, seen)
	settled, err := adjustments.Decide(context.Background(), turns, committer{w}, spend,
		adjustments.Decision{Attempt: seen, Applied: applied, Reason: "the export"}, w.now())
	w.say("operator: %s settled: %v %v", a.ID, settled, err)
	var again *adjustments.TriedAgainError
	switch {
	case err == nil:
		w.met("settled by an operator")
	case errors.As(err, &again):
		w.met("an operator's word came too late")
	}
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
