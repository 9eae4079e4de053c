package economy

import "time"

// Cancel is the step of an operator who takes a spend or grant back before it is
// charged: requested -> declined. One that an adjustment may charge, or that was
// charged, is not cancelled: nothing changes.
func Cancel(s Spend, now time.Time) Change {
	if s.State != Requested || s.AdjustmentID != "" {
		return Change{}
	}
	change := decline(s, Cancelled, now)
	change.Spend.Held = false
	return change
}

// Reclaim is the step of an operator who takes a fulfilled spend back: fulfilled ->
// refunding. taken says that the step itself takes the item from our own inventory;
// what the game's server granted is revoked there before the cost is credited. A grant
// has nothing to be given back, so nothing changes.
func Reclaim(s Spend, taken bool, now time.Time) Change {
	if s.State != Fulfilled || s.Kind != KindSpend {
		return Change{}
	}
	next := s.moved(Refunding, OperatorRefund)
	if taken {
		next.RevokedAt = now
	}
	return Change{From: s.State, Spend: next, Entries: entries(s, EntryReclaim, Sink, InFlight)}
}

// GiveUpRefund is the step of an operator who lets a refund of theirs be: refunding ->
// fulfilled, as it was. Once the item was taken back nothing changes, nor does it where
// the hand-over was refused: that player never had it.
func GiveUpRefund(s Spend, now time.Time) Change {
	if s.State != Refunding || s.Reason != OperatorRefund || !s.RevokedAt.IsZero() {
		return Change{}
	}
	next := s.moved(Fulfilled, "")
	next.FinishedAt, next.Held = now, false
	return Change{From: s.State, Spend: next, Entries: entries(s, EntryKeep, InFlight, Sink)}
}
