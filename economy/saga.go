package economy

import (
	"fmt"
	"time"
)

// Account is a side of a ledger entry. Every entry takes from one account and
// gives to another, so the books balance by construction.
type Account string

// The accounts of the books. The wallet is the provider's balance as far as our
// own adjustments move it.
const (
	Wallet   Account = "wallet"    // what the player holds at the provider
	InFlight Account = "in_flight" // charged, and neither fulfilled nor refunded yet
	Sink     Account = "sink"      // spent for good on fulfilled items
	Issuance Account = "issuance"  // where granted currency comes from
)

// EntryKind names the move an entry records; a spend has each at most once per
// currency, which the database enforces too.
type EntryKind string

// The kinds of ledger entries a spend makes.
const (
	EntryCharge  EntryKind = "charge"  // wallet -> in_flight
	EntryFulfil  EntryKind = "fulfil"  // in_flight -> sink
	EntryRefund  EntryKind = "refund"  // in_flight -> wallet
	EntryReclaim EntryKind = "reclaim" // sink -> in_flight: an operator takes a fulfilled spend back
	EntryKeep    EntryKind = "keep"    // in_flight -> sink: the operator gives that refund up, the item stays
	EntryGrant   EntryKind = "grant"   // issuance -> wallet
)

// Entry is one line of the ledger: amount units of currency go from Debit to
// Credit. Lines are only ever added.
type Entry struct {
	SpendID       string
	AppUserID     string
	Kind          EntryKind
	Debit, Credit Account
	Currency      Currency
	Amount        Amount // more than zero
}

// Grant is an item of ours handed to a player.
type Grant struct {
	SpendID   string
	AppUserID string
	Item      string
	Quantity  int64
}

// Change is one step of the saga as a value: what becomes of the spend and what
// is written beside it, all in one commit. The zero Change changes nothing.
type Change struct {
	From    State // the state it leaves; the guard of the commit
	Spend   Spend // the spend as it is afterwards
	Entries []Entry
	Grant   *Grant
	Release bool // the item's use no longer counts against the player's limit
}

// Empty reports whether the step changes nothing.
func (c Change) Empty() bool { return c.From == "" }

// Settle is the step that follows a definite answer to the spend's charge.
//
//	applied -> charged    insufficient, refused -> declined
//
// An outcome that is not definite, and a spend that is not requested any more,
// change nothing: the first is retried with the same key, the second was
// settled before. Nor does it settle a grant, see SettleGrant.
func Settle(s Spend, o Outcome, now time.Time) Change {
	if s.State != Requested || s.Kind != KindSpend {
		return Change{}
	}
	switch o.Kind {
	case Applied:
		next := s.moved(Charged, "")
		next.ChargedAt = now
		return Change{From: s.State, Spend: next, Entries: entries(s, EntryCharge, Wallet, InFlight)}
	case Insufficient:
		return decline(s, InsufficientFunds, now)
	case Refused:
		return decline(s, ProviderRefused, now)
	case Temporary, Unknown:
		return Change{}
	}
	panic(fmt.Sprintf("economy: outcome %q is not one of the closed set", o.Kind))
}

// HandedOver is the step that follows a hand-over that took place: charged ->
// fulfilled. grant is nil when the item lies outside our own inventory.
func HandedOver(s Spend, grant *Grant, now time.Time) Change {
	if s.State != Charged {
		return Change{}
	}
	next := s.moved(Fulfilled, "")
	next.FinishedAt = now
	return Change{From: s.State, Spend: next, Entries: entries(s, EntryFulfil, InFlight, Sink), Grant: grant}
}

// HandOverRefusedFor is the step that follows a permanent refusal to hand over:
// charged -> refunding. Nothing is credited yet; that is the next step's call.
func HandOverRefusedFor(s Spend) Change {
	if s.State != Charged {
		return Change{}
	}
	return Change{From: s.State, Spend: s.moved(Refunding, HandOverRefused)}
}

// SettleRefund is the step that follows a definite answer to the spend's credit.
//
//	applied -> refunded    insufficient, refused -> stays, needs an operator
func SettleRefund(s Spend, o Outcome, now time.Time) Change {
	if s.State != Refunding {
		return Change{}
	}
	switch o.Kind {
	case Applied:
		next := s.moved(Refunded, s.Reason)
		next.FinishedAt = now
		return Change{From: s.State, Spend: next, Entries: entries(s, EntryRefund, InFlight, Wallet), Release: s.Limited}
	case Insufficient, Refused:
		next := s
		next.UnknownSince = time.Time{}
		next.NeedsOperator = "the provider refused the refund: " + o.Detail
		return Change{From: s.State, Spend: next}
	case Temporary, Unknown:
		return Change{}
	}
	panic(fmt.Sprintf("economy: outcome %q is not one of the closed set", o.Kind))
}

// SettleGrant is the step that follows a definite answer to a grant's credit.
//
//	applied -> fulfilled    insufficient, refused -> declined
//
// A grant is one step: what is given is the balance itself, so there is nothing
// to hand over and nothing to give back.
func SettleGrant(s Spend, o Outcome, now time.Time) Change {
	if s.State != Requested || s.Kind != KindGrant {
		return Change{}
	}
	switch o.Kind {
	case Applied:
		next := s.moved(Fulfilled, "")
		next.FinishedAt = now
		return Change{From: s.State, Spend: next, Entries: entries(s, EntryGrant, Issuance, Wallet)}
	case Insufficient, Refused: // a credit cannot lack funds: it would be the provider's way to refuse
		return decline(s, ProviderRefused, now)
	case Temporary, Unknown:
		return Change{}
	}
	panic(fmt.Sprintf("economy: outcome %q is not one of the closed set", o.Kind))
}

func decline(s Spend, reason Reason, now time.Time) Change {
	next := s.moved(Declined, reason)
	next.FinishedAt = now
	return Change{From: s.State, Spend: next, Release: s.Limited}
}

// moved returns the spend in another state. A move that the table forbids is a
// mistake of ours, not of the world: it stops the program before it costs money.
func (s Spend) moved(to State, reason Reason) Spend {
	if !CanMove(s.Kind, s.State, to) {
		panic(fmt.Sprintf("economy: %s may not become %s", s, to))
	}
	s.State, s.Reason = to, reason
	s.FinishedAt = time.Time{}
	s.UnknownSince, s.NeedsOperator = time.Time{}, "" // marks of the step that is now settled
	return s
}

func entries(s Spend, kind EntryKind, debit, credit Account) []Entry {
	out := make([]Entry, 0, len(s.Cost))
	for _, currency := range s.Cost.Currencies() {
		out = append(out, Entry{
			SpendID: s.ID, AppUserID: s.AppUserID, Kind: kind,
			Debit: debit, Credit: credit, Currency: currency, Amount: s.Cost[currency],
		})
	}
	return out
}
