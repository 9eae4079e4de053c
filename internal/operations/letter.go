package operations

import (
	"time"
)

// Letter is a dead letter: a delivery that was set aside.
type Letter struct {
	LetterKey

	Type       string            `json:"type,omitempty"`        // of the event; empty: it is none
	Lane       string            `json:"lane,omitempty"`        //
	Subject    string            `json:"subject,omitempty"`     // where it was published
	Player     string            `json:"app_user_id,omitempty"` // whose it is
	Reason     DeathReason       `json:"reason"`
	Error      string            `json:"error"`           // of the last attempt
	Stack      string            `json:"stack,omitempty"` // of a panic
	Attempts   int               `json:"attempts"`
	Failures   []Failure         `json:"failures"` // those of the attempts that were written down, oldest first: see Failure
	Headers    map[string]string `json:"headers"`  // of the message that the last attempt was given
	Payload    []byte            `json:"-"`        // what a retry delivers
	Original   []byte            `json:"-"`        // what arrived, when an operator edited it since; nil: nobody did
	TraceID    string            `json:"trace_id,omitempty"`
	OwedSince  time.Time         `json:"owed_since"` // when the delivery began to be owed; zero: not known
	DiedAt     time.Time         `json:"died_at"`
	Retries    int               `json:"retries"` // by operators
	ResolvedAt time.Time         `json:"resolved_at,omitzero"`
	Resolution string            `json:"resolution,omitempty"` // what an operator said or did
}

// LetterKey names a dead letter.
type LetterKey struct {
	EventID  string `json:"event_id"`
	Consumer string `json:"consumer"`
}

// String is the key as one word: the subject of acts.
func (k LetterKey) String() string { return k.EventID + "/" + k.Consumer }

// DeathReason is why a delivery was set aside, as a stable word.
type DeathReason string

// The reasons.
const (
	DiedPanic     DeathReason = "panic"     // the consumer panicked at five attempts
	DiedData      DeathReason = "data"      // the database refused its effects at five attempts
	DiedMalformed DeathReason = "malformed" // what arrived is no event of ours
	DiedPermanent DeathReason = "permanent" // the consumer knows that trying again cannot help
)

// DeathReasons lists them.
var DeathReasons = []DeathReason{DiedPanic, DiedData, DiedMalformed, DiedPermanent}

// Failure is one failed attempt. Attempts that the broker repeated at once are not
// written down one by one unless they count towards setting the delivery aside:
// Letter.Attempts counts them all.
type Failure struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Error   string    `json:"error"`
}

// LetterFilter chooses dead letters. Zero fields choose everything that is open.
type LetterFilter struct {
	Consumer string
	Type     string // of the event
	Reason   DeathReason
	Player   string
	Error    string        // a part of the error's text
	Older    time.Duration // dead for longer than this
	Younger  time.Duration // dead for less than this; 0: however long
	Resolved bool          // instead of the open ones, those that were retried or resolved
	Limit    int           // of a list; 0: 100. Acts on many know no limit
	Offset   int           // of a list
}
