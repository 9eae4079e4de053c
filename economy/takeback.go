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

// KeptByGame is what an operator is needed for when the game answers a revoke with
// "granted", which it may not take back later.
const KeptByGame = "the game does not take the item back"

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
		next.NeedsOperator = KeptByGame
		return Change{From: s.State, Spend: next}
	}
	next := s.moved(Fulfilled, "")
	next.FinishedAt, next.Held = now, false
	return Change{From: s.State, Spend: next, Entries: entries(s, EntryFulfil, InFlight, Sink)}
}

// TakenByGame is what an operator is needed for when the game took an item back while
// somebody settled its spend as granted.
const TakenByGame = "the game took the item back while its spend was settled as granted: refund it, or settle it as granted again once the player has the item"

// GoneAfterAll is the mark of a fulfilled spend whose item the game has taken back all
// the same. The player paid and has nothing, which only a person can settle. A spend in
// another state, or with the mark, does not change.
func GoneAfterAll(s Spend) Change {
	if s.State != Fulfilled || s.Kind != KindSpend || s.NeedsOperator != "" {
		return Change{}
	}
	next := s
	next.NeedsOperator = TakenByGame
	return Change{From: s.State, Spend: next}
}

// ThereAfterAll takes the mark of GoneAfterAll off, by the word of an operator who has
// seen to it that the player has the item, or something else for it.
func ThereAfterAll(s Spend) Change {
	if s.State != Fulfilled || s.NeedsOperator == "" {
		return Change{}
	}
	next := s
	next.NeedsOperator = ""
	return Change{From: s.State, Spend: next}
}
