package simulation

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/internal/operations"
	"github.com/sluice-gems/sluice/outbox"
)

var somebody = operations.Who{Name: "somebody", Via: operations.Console}

// desk is where an operator acts.
func (w *world) desk() *operations.Desk {
	return operations.New(operations.Config{
		Committer: committer{w}, Spends: w.db, Catalogs: w.db, Now: time.Now, NewID: func() string { return w.newID("o") }, Patience: -1,
	})
}

// operateOn has an operator act on one of the spends in a state. There is one operator
// at a time.
func (w *world) operateOn(state economy.State, act func(*world, string)) {
	var can []string
	for _, s := range w.db.spends {
		if s.State == state && !(state == economy.Fulfilled && s.Kind == economy.KindGrant) {
			can = append(can, s.ID)
		}
	}
	if w.operating || len(can) == 0 {
		return
	}
	w.operating = true
	id := can[w.random.IntN(len(can))]
	w.spawn("operator", nil, func() {
		act(w, id)
		w.operating = false
	})
}

// cancel tries until it is cancelled, or cannot be.
func (w *world) cancel(id string) {
	for {
		s, err := w.desk().Cancel(context.Background(), somebody, "the player asked", id)
		w.say("operator: cancel %s: %v", id, err)
		var refused *operations.RefusedError
		switch {
		case err == nil:
			w.met("a spend is cancelled")
			return
		case errors.As(err, &refused) && (!s.Held || s.State != economy.Requested):
			return
		case errors.As(err, &refused):
			w.met("a cancel waits for a call")
		}
		w.pause("cancel " + id + " again")
	}
}

// reclaim tries until the spend is on its way back, or cannot be.
func (w *world) reclaim(id string) {
	for {
		_, err := w.desk().Refund(context.Background(), somebody, "bought by mistake", id)
		w.say("operator: refund %s: %v", id, err)
		var refused *operations.RefusedError
		if err == nil {
			w.met("a fulfilled spend is taken back")
		}
		if err == nil || errors.As(err, &refused) {
			return
		}
		w.pause("refund " + id + " again")
	}
}

// giveUp lets a refund be, or hears why not.
func (w *world) giveUp(id string) {
	for {
		s, err := w.desk().GiveUpRefund(context.Background(), somebody, "a mistake", id)
		w.say("operator: give up the refund of %s: %v", id, err)
		var refused *operations.RefusedError
		switch {
		case err == nil:
			w.met("a refund is given up")
			return
		case errors.As(err, &refused) && s.Reason == economy.OperatorRefund && s.RevokedAt.IsZero():
			w.met("a refund is given up too late")
			return
		case errors.As(err, &refused):
			return
		}
		w.pause("give up the refund of " + id + " again")
	}
}

// release ends the holds that an operator sees, once the bad days are over.
func (w *world) release() {
	for _, s := range w.db.spends {
		s.Held = false
	}
}

// holds does what the steps of operator_hold do.
func (tx *transaction) holds(row values) bool {
	s, held := tx.spend(row["id"]), row["held"] == "true"
	if s == nil || s.Held == held || (held && s.State != economy.Requested && s.State != economy.Refunding) {
		return false
	}
	tx.update("spend " + s.ID)
	change(tx, &s.Held, held)
	change(tx, &s.change, row["change_id"])
	s.passed = true
	return true
}

// cancels does what the steps of operator_cancel do.
func (tx *transaction) cancels(row values) bool {
	s := tx.spend(row["id"])
	if s == nil || s.State != economy.Requested || s.AdjustmentID != "" || !s.Held {
		return false
	}
	if a := tx.openOf(s.AppUserID); a != nil && a.Attempts == 1 && a.LeasedBy != "" && !tx.wrong.cancelBlind {
		return false
	}
	tx.setMoved(s, values{"state": string(economy.Declined), "reason": row["reason"], "finished_at": row["finished_at"], "change_id": row["change_id"]})
	change(tx, &s.Held, false)
	return true
}

// reclaims does what the steps of operator_refund do, where nobody else must approve.
func (tx *transaction) reclaims(row values) bool {
	s := tx.spend(row["id"])
	if s == nil || s.State != economy.Fulfilled || s.Kind != economy.KindSpend {
		return false
	}
	charged := s.ChargedAt.Format(time.RFC3339Nano)
	change(tx, &s.left, economy.Fulfilled)
	change(tx, &s.State, economy.Refunding)
	tx.setMoved(s, values{"state": string(economy.Refunding), "reason": row["reason"], "charged_at": charged, "change_id": row["change_id"]})
	change(tx, &s.RevokedAt, row.time("revoked_at"))
	return true
}

// givesUp does what the steps of operator_give_up do.
func (tx *transaction) givesUp(row values) bool {
	s := tx.spend(row["id"])
	switch {
	case s == nil || s.State != economy.Refunding || s.Reason != economy.OperatorRefund || !s.RevokedAt.IsZero():
		return false
	case s.asked && s.NeedsOperator != row["kept"] && !tx.wrong.giveUpBlind:
		return false
	}
	tx.setMoved(s, values{
		"state": string(economy.Fulfilled), "charged_at": s.ChargedAt.Format(time.RFC3339Nano), "finished_at": row["finished_at"], "change_id": row["change_id"],
	})
	change(tx, &s.Held, false)
	return true
}

// asksRevoke does what the steps of spend_ask_revoke do.
func (tx *transaction) asksRevoke(row values) bool {
	s := tx.spend(row["id"])
	if s == nil || s.State != economy.Refunding || !s.RevokedAt.IsZero() || s.NeedsOperator != "" || s.Held {
		return false
	}
	tx.update("spend " + s.ID)
	change(tx, &s.asked, true)
	change(tx, &s.change, row["change_id"])
	return true
}

// operate is one of the acts that a spend's state allows, as the desk commits it.
func (g *generator) operate(s *spendRow) outbox.Effects {
	wanted := &overheard{turn: adjustments.Turn{}}
	desk := operations.New(operations.Config{
		Committer: wanted, Spends: g.db, Catalogs: g.db, Now: func() time.Time { return g.at() }, NewID: g.id, Patience: -1,
	})
	ctx, why := context.Background(), "why"
	switch {
	case s.State == economy.Fulfilled && s.Kind == economy.KindSpend:
		_, _ = desk.Refund(ctx, somebody, why, s.ID)
	case s.State == economy.Refunding && s.Reason == economy.OperatorRefund && g.mostly():
		if g.IntN(2) == 0 {
			return outbox.Effects{Guard: books.AskRevoke{SpendID: s.ID, At: g.at()}}
		}
		_, _ = desk.GiveUpRefund(ctx, somebody, why, s.ID)
	case s.State == economy.Requested && s.AdjustmentID == "" && s.Held && g.mostly():
		_, _ = desk.Cancel(ctx, somebody, why, s.ID)
	case s.Held:
		_, _ = desk.Release(ctx, somebody, why, s.ID)
	default:
		_, _ = desk.Hold(ctx, somebody, why, s.ID)
	}
	if wanted.effects.Guard == nil { // it is refused at the desk
		return g.step(s)
	}
	return wanted.effects
}
