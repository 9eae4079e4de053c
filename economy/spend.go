package economy

import (
	"fmt"
	"slices"
	"time"
)

// State is where a spend stands. The saga moves it; see Transitions.
type State string

// The states of a spend. Fulfilled, Declined and Refunded are final for the
// player; an operator may still take a fulfilled spend to Refunding.
const (
	Requested State = "requested" // accepted and durable; nothing charged yet
	Charged   State = "charged"   // the provider took the cost; the item is owed
	Fulfilled State = "fulfilled" // the item reached the player
	Declined  State = "declined"  // definitely not charged, and never will be
	Refunding State = "refunding" // charged, item refused: the cost is owed back
	Refunded  State = "refunded"  // the provider gave the cost back
)

// States lists every state in the order of the road.
var States = []State{Requested, Charged, Fulfilled, Declined, Refunding, Refunded}

// Kind tells the two things apart that a player's line holds: what takes currency
// and what gives it. They share keys, order and states, not the road.
type Kind string

// The kinds. The zero Kind is a spend.
const (
	KindSpend Kind = ""      // takes its cost and hands over an item
	KindGrant Kind = "grant" // gives its amounts to the player: a quest's reward, goodwill
)

// Kinds lists every kind.
var Kinds = []Kind{KindSpend, KindGrant}

// String returns the kind's name, in logs and in our tables.
func (k Kind) String() string {
	if k == KindSpend {
		return "spend"
	}
	return string(k)
}

// Transition is one allowed move.
type Transition struct{ From, To State }

// Transitions is the one table of allowed moves, per kind. The CHECK in the
// migrations and the diagrams in docs/flow.md are compared with it by a test.
var Transitions = map[Kind][]Transition{
	KindSpend: {
		{Requested, Charged},
		{Requested, Declined},
		{Charged, Fulfilled},
		{Charged, Refunding},
		{Fulfilled, Refunding}, // only by an operator, see Reclaim
		{Refunding, Fulfilled}, // the game had granted the item and does not take it back
		{Refunding, Refunded},
	},
	KindGrant: {
		{Requested, Fulfilled},
		{Requested, Declined},
	},
}

// CanMove reports whether what is of a kind may go from one state to the other.
func CanMove(kind Kind, from, to State) bool {
	return slices.Contains(Transitions[kind], Transition{from, to})
}

// Final reports whether the player's app has nothing more to wait for.
func (s State) Final() bool {
	return s == Fulfilled || s == Declined || s == Refunded
}

// Reason says why a spend was declined or refunded, as a stable code.
type Reason string

// The reasons a spend ends otherwise than fulfilled.
const (
	InsufficientFunds Reason = "insufficient_funds" // declined: the balance does not cover the cost
	ProviderRefused   Reason = "provider_refused"   // declined: the provider said no for good
	Cancelled         Reason = "cancelled"          // declined: an operator took it back before the charge
	HandOverRefused   Reason = "hand_over_refused"  // refunding, refunded: the item could not be handed over
	OperatorRefund    Reason = "operator_refund"    // refunding, refunded: an operator took the item back after it was handed over
)

// Spend is one purchase of an item with virtual currency, or a grant of some: a
// grant stands in the same line of its player, under the same keys.
type Spend struct {
	ID             string  // UUIDv7, made by us; also the idempotency key of the hand-over
	Kind           Kind    `json:",omitzero"`
	AppUserID      string  // the player, as the provider knows them
	IdempotencyKey string  // the app's key, unique per player
	Item           string  // of a grant: empty
	Quantity       int64   // of a grant: 1
	Cost           Amounts // from the catalogue, never from the client. Of a grant: what is given
	CatalogVersion int64   // the version that named the price and says how to hand over. Of a grant: 0
	Note           string  `json:",omitzero"` // of a grant: why, in the words of the game's server. Of a spend: why its hand-over ended as it did, for operators
	State          State
	Reason         Reason // empty unless declined, refunding or refunded

	// Marks that may stand beside a state.
	Held          bool      // an operator reviews it: no call is begun for it; one under way is still settled
	UnknownSince  time.Time // the outcome of its charge or refund is unknown since then; zero: it is not
	NeedsOperator string    // why only a person can settle it; empty: nobody is needed
	RevokedAt     time.Time `json:",omitzero"` // its item's endpoint, or an operator, said then that the player does not have the item and never will; zero: nobody did

	AdjustmentID string // the adjustment that charges it; empty until bound

	AcceptedAt time.Time
	ChargedAt  time.Time // zero until charged
	FinishedAt time.Time // zero until final
	Limited    bool      // the item had a limit per player when accepted, so its use is counted
}

// SameRequest reports whether a repeated idempotency key asks for the same
// thing. It compares what the client sent, not the price.
func (s Spend) SameRequest(item string, quantity int64) bool {
	return s.Kind == KindSpend && s.Item == item && s.Quantity == quantity
}

// SameGrant is SameRequest for a grant: all of it was the client's.
func (s Spend) SameGrant(amounts Amounts, note string) bool {
	return s.Kind == KindGrant && s.Cost.Equal(amounts) && s.Note == note
}

// String names the spend in errors and logs without naming its player.
func (s Spend) String() string {
	return fmt.Sprintf("%s %s (%s)", s.Kind, s.ID, s.State)
}
