package adjustments

import (
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Purpose says what an adjustment is for.
type Purpose string

// The purposes.
const (
	Charge Purpose = "charge" // takes the cost of the spends bound to it
	Refund Purpose = "refund" // gives one spend's cost back
	Grant  Purpose = "grant"  // gives what one grant gives
)

// Adjustment is one change of a player's balance at the provider.
type Adjustment struct {
	ID             string
	AppUserID      string
	Purpose        Purpose
	SpendID        string // of a refund: the spend it gives back
	IdempotencyKey string
	Body           string // sent byte for byte at every attempt
	Deltas         economy.Amounts
	Attempts       int64         // attempts made or under way, those included that the client held back
	LeasedBy       string        // the process that may call, or called last and did not record it; empty: it did
	LeasedFor      time.Duration // for how much longer nobody else may, when it was read
	OpenedAt       time.Time
	UnknownSince   time.Time // an attempt went unanswered then; zero: none did
	LastError      string
}

// newCharge prepares the adjustment that takes the cost of spends. Its key comes
// from its own id, so that spends bound anew after a definite "not applied" are
// never sent under a key that was used before.
func newCharge(id string, spends []economy.Spend, body func(economy.Amounts, string) []byte) Adjustment {
	deltas := economy.Amounts{}
	for _, spend := range spends {
		deltas = deltas.Plus(spend.Cost.Negated())
	}
	return Adjustment{
		ID: id, AppUserID: spends[0].AppUserID, Purpose: Charge,
		IdempotencyKey: id + ":charge", Deltas: deltas, Body: string(body(deltas, "sluice charge "+id)),
	}
}

// newRefund prepares the adjustment that gives a spend's cost back. Its key
// comes from the spend, so that a spend can be refunded under one key only. refused is
// how many refunds of it the provider has refused for good: the next has another key.
func newRefund(id string, spend economy.Spend, refused int, body func(economy.Amounts, string) []byte) Adjustment {
	return Adjustment{
		ID: id, AppUserID: spend.AppUserID, Purpose: Refund, SpendID: spend.ID,
		IdempotencyKey: refundKey(spend.ID, refused), Deltas: spend.Cost, Body: string(body(spend.Cost, "sluice refund "+spend.ID)),
	}
}

// Turn is what there is to do for a player: an open adjustment with the spends
// it concerns or, if none is open, the spends that wait to be charged in the
// order they were accepted.
type Turn struct {
	Open    *Adjustment
	Spends  []economy.Spend // of Open; none without it
	Waiting []economy.Spend // to be charged; beside an adjustment just opened: what its refusal declines too
	Known   economy.Amounts // the last known balances; nil: never read
	Place   int64           // in the order of acceptance, of the first that waits; 0: none does
	trace   *attemptTrace   // of the attempt under way; nil: it concerns no trace
}
