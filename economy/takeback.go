package economy

import "time"

// TakenBack is the mark that a refunding spend gets once it is certain that the
// player does not have its item and never will: from then on its cost may be
// credited, and it can never be fulfilled. A second call changes nothing.
func TakenBack(s Spend, now time.Time) Change {
	if s.State != Refunding || !s.RevokedAt.IsZero() {
		return Change{}
	}
	next := s
	next.RevokedAt, next.NeedsOperator = now, "" // what an operator was needed for is settled
	return Change{From: s.State, Spend: next}
}

// Kept is the step that follows when a refunding spend's item turns out to be the
// player's for good: refunding -> fulfilled. The hand-over had taken place, its
// answer was lost, and the game does not take the item back (it is used, say). What
// was charged is then rightly charged. A spend that is refunding for another reason
// was fulfilled before, and the game does not do what was asked: it stays, and needs
// an operator. Once an item was taken back, nothing changes.
func Kept(s Spend, now time.Time) Change {
	if s.State != Refunding || !s.RevokedAt.IsZero() {
		return Change{}
	}
	if s.Reason != HandOverRefused {
		next := s
		next.NeedsOperator = "the game does not take the item back"
		return Change{From: s.State, Spend: next}
	}
	next := s.moved(Fulfilled, "")
	next.FinishedAt = now
	return Change{From: s.State, Spend: next, Entries: entries(s, EntryFulfil, InFlight, Sink)}
}
