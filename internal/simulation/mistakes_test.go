package simulation

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/revenuecat"
	"github.com/sluice-gems/sluice/outbox"
)

// changer commits other effects than it is given.
type changer struct {
	adjustments.Committer
	change func(outbox.Effects) outbox.Effects
}

func (c changer) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	return c.Committer.Commit(ctx, c.change(effects))
}

// neverFree leaves the spends of a refused adjustment bound to it.
func neverFree(_ *world, next adjustments.Committer) adjustments.Committer {
	return changer{next, func(effects outbox.Effects) outbox.Effects {
		effects.Rows = slices.DeleteFunc(effects.Rows, func(row outbox.Row) bool { return row.Kind().Name == "adjustment_unbind" })
		return effects
	}}
}

// blocker has an adjustment of unknown outcome hold up its player for ever.
type blocker struct{ adjustments.Committer }

func neverAside(_ *world, next adjustments.Committer) adjustments.Committer { return blocker{next} }

func (b blocker) Commit(ctx context.Context, effects outbox.Effects) (outbox.Result, error) {
	attempted, ok := effects.Guard.(adjustments.Attempted)
	if !ok || !attempted.Aside {
		return b.Committer.Commit(ctx, effects)
	}
	attempted.Aside = false
	effects.Guard = attempted
	_, err := b.Committer.Commit(ctx, effects)
	return outbox.Stale, err
}

// alsoDecline has a refusal decline more spends that wait, as pick says.
func alsoDecline(pick func(w *world, s *spendRow, a *adjustmentRow) bool) func(*world, adjustments.Committer) adjustments.Committer {
	return func(w *world, next adjustments.Committer) adjustments.Committer {
		return changer{next, func(effects outbox.Effects) outbox.Effects {
			settled, ok := effects.Guard.(adjustments.Settled)
			if !ok || settled.Outcome != economy.Insufficient {
				return effects
			}
			a := w.db.adjustment(settled.AdjustmentID)
			followed := followedBy(effects)
			for _, s := range w.db.spends {
				if s.AppUserID == a.AppUserID && s.waits() && s.Kind == economy.KindSpend && !s.Held && !followed[s.ID] && pick(w, s, a) {
					change := economy.Settle(s.Spend, economy.Outcome{Kind: economy.Insufficient}, settled.At)
					effects.Rows = append(effects.Rows, books.Follow(change, settled.At)...)
					effects.Done = append(effects.Done, chargeOf(s.ID))
				}
			}
			return effects
		}}
	}
}

func chargeOf(spend string) outbox.Delivery {
	return outbox.Delivery{EventID: events.EventID(events.SpendRequestedV1, spend), Consumer: adjustments.ChargeConsumer}
}

// followedBy returns the spends that effects move.
func followedBy(effects outbox.Effects) map[string]bool {
	moved := map[string]bool{}
	for _, row := range effects.Rows {
		if row.Kind().Name == "spend_follow" {
			moved[outbox.Written(row, "")["id"]] = true
		}
	}
	return moved
}

var (
	declineLater = alsoDecline(func(w *world, s *spendRow, a *adjustmentRow) bool {
		return slices.Index(w.db.spends, s) >= w.rc.asked[a.IdempotencyKey] && economy.DeclinedByEvidence(s.Cost, a.Deltas.Negated())
	})
	declineCheaper = alsoDecline(func(_ *world, s *spendRow, a *adjustmentRow) bool {
		return !economy.DeclinedByEvidence(s.Cost, a.Deltas.Negated())
	})
)

// declineDearer leaves out of the evidence what costs just as much. It costs calls
// and is no mistake.
func declineDearer(w *world, next adjustments.Committer) adjustments.Committer {
	return changer{next, func(effects outbox.Effects) outbox.Effects {
		settled, ok := effects.Guard.(adjustments.Settled)
		if !ok || settled.Outcome != economy.Insufficient {
			return effects
		}
		a := w.db.adjustment(settled.AdjustmentID)
		for id := range followedBy(effects) {
			s := w.db.spend(id)
			if s.AdjustmentID == a.ID || s.Limited || !s.Cost.Equal(a.Deltas.Negated()) {
				continue
			}
			w.met("just as dear")
			effects.Rows = slices.DeleteFunc(effects.Rows, func(row outbox.Row) bool {
				return row.Kind().Name == "spend_follow" && outbox.Written(row, "")["id"] == id
			})
			effects.Done = slices.DeleteFunc(effects.Done, func(d outbox.Delivery) bool { return d == chargeOf(id) })
		}
		return effects
	}}
}

// stale has some turns told long after they were read.
type stale struct {
	*world
	adjustments.Turns
}

func lateReads(w *world, next adjustments.Turns) adjustments.Turns { return stale{w, next} }

func (s stale) Turn(ctx context.Context, player string, limit int) (adjustments.Turn, error) {
	turn, err := s.Turns.Turn(ctx, player, limit)
	s.later(player)
	return turn, err
}

func (s stale) Waiting(ctx context.Context, player string, from int64, limit int) (adjustments.Turn, error) {
	turn, err := s.Turns.Waiting(ctx, player, from, limit)
	s.later(player)
	return turn, err
}

func (s stale) later(player string) {
	if s.random.IntN(3) == 0 {
		for range 12 {
			s.pause("act on an old turn of " + player)
		}
	}
}

// laterHalf reads what waits, after a refusal of several, with the later half first.
type laterHalf struct {
	*world
	adjustments.Turns
}

func laterHalfFirst(w *world, next adjustments.Turns) adjustments.Turns { return laterHalf{w, next} }

func (l laterHalf) Turn(ctx context.Context, player string, limit int) (adjustments.Turn, error) {
	turn, err := l.Turns.Turn(ctx, player, limit)
	return l.turned(player, turn), err
}

func (l laterHalf) Waiting(ctx context.Context, player string, from int64, limit int) (adjustments.Turn, error) {
	turn, err := l.Turns.Waiting(ctx, player, from, limit)
	return l.turned(player, turn), err
}

func (l laterHalf) turned(player string, turn adjustments.Turn) adjustments.Turn {
	split := slices.ContainsFunc(l.db.adjustments, func(a *adjustmentRow) bool {
		return a.AppUserID == player && len(a.spends) > 1 && a.state == string(economy.Insufficient)
	})
	if half := len(turn.Waiting) / 2; split && half > 0 {
		turn.Waiting = slices.Concat(turn.Waiting[half:], turn.Waiting[:half])
	}
	return turn
}

// keyAfterConflict sends what was answered 409 again under a key of its own.
func keyAfterConflict(w *world, next adjustments.Provider) adjustments.Provider {
	return adjuster(func(ctx context.Context, r revenuecat.Request) economy.Outcome {
		outcome := next.Adjust(ctx, r)
		if outcome.Status == http.StatusConflict {
			r.IdempotencyKey = strings.Replace(r.IdempotencyKey, ":", "#"+w.newID("")+":", 1)
			outcome = next.Adjust(ctx, r)
		}
		return outcome
	})
}

// forgetful reads an open adjustment as if no attempt had been made.
type forgetful struct{ adjustments.Turns }

func forget(_ *world, next adjustments.Turns) adjustments.Turns { return forgetful{next} }

func (f forgetful) Turn(ctx context.Context, player string, limit int) (adjustments.Turn, error) {
	turn, err := f.Turns.Turn(ctx, player, limit)
	if turn.Open != nil && turn.Open.LeasedFor <= 0 {
		turn.Open.LeasedBy, turn.Open.UnknownSince = "", time.Time{}
	}
	return turn, err
}
