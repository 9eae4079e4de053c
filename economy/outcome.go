package economy

import "time"

// OutcomeKind is the closed set of what a call that changes a balance can end in.
type OutcomeKind string

// The outcomes of an adjustment.
const (
	Applied      OutcomeKind = "applied"      // the provider changed the balance, once
	Insufficient OutcomeKind = "insufficient" // definitely not applied: the balance does not cover it
	Refused      OutcomeKind = "refused"      // definitely not applied, and the same call never will be
	Temporary    OutcomeKind = "temporary"    // definitely not applied by this call; the same key may be sent again
	Unknown      OutcomeKind = "unknown"      // may or may not be applied; only the same key may be sent again
)

// Outcome is the provider's answer to one adjustment, or the lack of one.
type Outcome struct {
	Kind       OutcomeKind
	Balances   Amounts       // Applied: the balances after the change, of the currencies it touched
	RetryAfter time.Duration // Temporary, Unknown: how long the provider asked to wait; 0: it did not say
	Status     int           // HTTP status; 0 when there was no answer
	Code       string        // the provider's error type, such as unprocessable_entity_error
	Detail     string        // short words for operators; holds no secret and no player id
}

// Definite reports whether the outcome ends the adjustment.
func (o Outcome) Definite() bool {
	return o.Kind == Applied || o.Kind == Insufficient || o.Kind == Refused
}
