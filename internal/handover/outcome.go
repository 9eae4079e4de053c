package handover

import "time"

// Kind is the closed set of what asking an endpoint can end in.
type Kind string

// The kinds. The first four are the game's own words, and definite.
const (
	Granted Kind = "granted" // the item is the player's; to a revoke: and stays so
	Refused Kind = "refused" // to a grant: not granted, and never will be
	Revoked Kind = "revoked" // not the player's, and never will be
	None    Kind = "none"    // to a check: nothing is known of the spend

	Failed Kind = "failed" // no answer, or none that counts: the same may be asked again
	Later  Kind = "later"  // it was not asked, and that says nothing about the endpoint
)

// Outcome is what came of asking an endpoint.
type Outcome struct {
	Kind   Kind
	Reason string        // the game's own words with Refused, and with Granted to a revoke; without the player's id
	After  time.Duration // Failed, Later: not before; 0: as the caller's backoff says
	Park   bool          // Failed, Later: no place in the broker is worth waiting in
	Status int           // HTTP status; 0: there was no answer
	Detail string        // short words for operators
}

// definite reports whether the game has spoken.
func (o Outcome) definite() bool { return o.Kind != Failed && o.Kind != Later }

// Err returns the error of a delivery that must come again because of o.
func (o Outcome) Err(endpoint string) error { return &NotYet{Endpoint: endpoint, Outcome: o} }

// NotYet says that an endpoint has not done what it was asked, and when to ask again.
type NotYet struct {
	Endpoint string
	Outcome
}

// Error implements error. It begins with Why.
func (e *NotYet) Error() string { return Why(e.Endpoint) + e.Detail }

// Why begins the errors of deliveries that wait for an endpoint.
func Why(endpoint string) string { return "endpoint " + endpoint + ": " }

// RetryAfter returns when to come back at the earliest; 0: no wish.
func (e *NotYet) RetryAfter() time.Duration { return e.After }

// Parks reports whether the wait belongs into the outbox, however short it is.
func (e *NotYet) Parks() bool { return e.Park }
