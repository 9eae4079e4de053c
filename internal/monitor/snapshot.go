package monitor

import (
	"time"

	"github.com/sluice-gems/sluice/internal/budget"
)

// Snapshot is how Sluice stands at a moment. The command line, the metrics, the
// console and the alerts all show this, so that they cannot disagree. Ages are by
// the clock of the server that holds what is aged. What could not be read is left
// empty, and Problems says why.
type Snapshot struct {
	At        time.Time `json:"at"`
	Reachable Reachable `json:"reachable"`
	// Consumers has one line per consumer and lane, sorted.
	Consumers []Lag    `json:"consumers"`
	Outbox    *Backlog `json:"outbox"`
	// Open are the spends and grants under way, one line per state that can be left.
	Open     []OpenState `json:"open"`
	Provider *Provider   `json:"provider"`
	// Endpoints are the game's own servers, sorted: those of the settings, and those that
	// something waits for.
	Endpoints []Endpoint `json:"endpoints"`
	Webhooks  *Webhooks  `json:"webhooks"`
	// Attention counts spends that only a person or the provider can settle.
	Attention *Attention `json:"attention"`
	// DeadLetters has one line per consumer with letters that nobody has resolved.
	DeadLetters []DeadLetters `json:"dead_letters"`
	// Books is what the audit and the comparison with RevenueCat found.
	Books *Books `json:"books"`
	// Purchases counts what somebody paid for and a person has to look at.
	Purchases *Purchases `json:"purchases"`
	// Pauses are what operators have paused, the oldest first.
	Pauses []Pause `json:"pauses"`
	// Verdict is what to make of all that.
	Verdict Verdict `json:"verdict"`
	// Problems says what could not be read, and why; empty: all was.
	Problems []string `json:"problems"`
}

// Reachable tells whether what Sluice stands on could be read for the snapshot.
type Reachable struct {
	PostgreSQL bool `json:"postgresql"`
	NATS       bool `json:"nats"`
}

// Lag is how far behind one consumer is on one lane.
type Lag struct {
	Consumer string `json:"consumer"`
	Lane     string `json:"lane"`
	// Messages are unfinished in the broker: waiting, and handed out but not done.
	Messages uint64 `json:"messages"`
	// InHand, of the messages, are handed out and not done.
	InHand int `json:"in_hand"`
	// Redelivered, of those in hand, were handed out more than once.
	Redelivered int `json:"redelivered"`
	// OldestAge is the age of the oldest unfinished message, or of the oldest
	// delivery that the outbox owes if that is older, parked ones included; 0: nothing
	// is unfinished.
	OldestAge Seconds `json:"oldest_age_seconds"`
	// Stalled is for how long messages have waited while none was handed out to
	// anybody; 0: none waits. From StalledAfter on it is a stall.
	Stalled Seconds `json:"stalled_seconds"`
	// Owed are the deliveries that the outbox owes, those in the broker included.
	Owed int64 `json:"owed"`
	// Parked, of the owed, wait for a later attempt.
	Parked int64 `json:"parked"`
	// LastError is what one of the parked failed with; empty: none did.
	LastError string `json:"last_error,omitempty"`
	// Paused tells whether an operator paused the consumer or the lane.
	Paused bool `json:"paused"`
	// Partitions are those that are owed something, by number.
	Partitions []PartitionLag `json:"partitions"`
	// Error says why the broker's numbers are not known.
	Error string `json:"error,omitempty"`
}

// StalledAfter is the time without a delivery, while messages wait, after which a
// consumer counts as stalled: three times what a pull waits at most.
const StalledAfter = 30 * time.Second

// Unfinished is how many deliveries a consumer has not finished. The outbox and the
// broker are read one after the other, so that one may know of a few more.
func (l Lag) Unfinished() int64 { return max(l.Owed, int64(l.Messages)) }

// PartitionLag is how far behind a consumer is with the players of one partition.
type PartitionLag struct {
	Partition int     `json:"partition"`
	Owed      int64   `json:"owed"`
	Parked    int64   `json:"parked"`
	OldestAge Seconds `json:"oldest_age_seconds"`
}

// Backlog is what the outbox owes in all.
type Backlog struct {
	Owed      int64   `json:"owed"`
	Parked    int64   `json:"parked"`
	OldestAge Seconds `json:"oldest_age_seconds"`
	// Overdue, of the parked, are those whose time has come; OverdueAge is for how
	// long the first has been. Beyond a few seconds nobody sweeps.
	Overdue    int64   `json:"overdue"`
	OverdueAge Seconds `json:"overdue_age_seconds"`
}

// OpenState counts the spends and grants that are in a state that they will leave.
type OpenState struct {
	State     string  `json:"state"`
	Spends    int64   `json:"spends"`
	OldestAge Seconds `json:"oldest_age_seconds"` // since it was accepted
}

// Provider is how much RevenueCat lets us do.
type Provider struct {
	Budgets []Budget `json:"budgets"` // of the domains that were ever called, sorted
	// Circuit is closed, half-open or open; CircuitReason is why it opened last, and
	// ProbeIn is how long until an open one lets a call through to see.
	Circuit       budget.CircuitState `json:"circuit"`
	CircuitReason string              `json:"circuit_reason,omitempty"`
	ProbeIn       Seconds             `json:"probe_in_seconds"`
	// Waiting are the calls that spends wait for: one per player with spends to be
	// charged, which are charged together, and one per refund.
	Waiting int64 `json:"waiting"`
	// ETA is the time that the limit needs for them; 0: nothing waits, or no limit is known.
	ETA Seconds `json:"eta_seconds"`
}

// Budget is the provider's limit on one domain of calls.
type Budget struct {
	Domain string `json:"domain"`
	Limit  int    `json:"limit_per_minute"` // as the provider said; 0: it never did
	Used   int    `json:"used"`             // in the last minute, over all processes
	// ToldToWait is until the end of the pause that the provider asked for; 0: there is none.
	ToldToWait Seconds `json:"told_to_wait_seconds"`
}

// Attention counts spends that do not go on by themselves.
type Attention struct {
	Unknown       int64   `json:"unknown" db:"unknown"`               // nobody knows whether the provider moved the gems
	UnknownAge    Seconds `json:"unknown_age_seconds" db:"-"`         // of the oldest of them, since it is not known
	NeedsOperator int64   `json:"needs_operator" db:"needs_operator"` // a person has to decide
	Held          int64   `json:"held" db:"held"`                     // a person said to wait
}

// DeadLetters counts deliveries of one consumer that were set aside.
type DeadLetters struct {
	Consumer  string  `json:"consumer"`
	Open      int64   `json:"open"`
	OldestAge Seconds `json:"oldest_age_seconds"`
}

// Pause is something that an operator paused: a consumer, a lane, an item or a currency.
type Pause struct {
	Scope  string    `json:"scope" db:"scope"`
	Name   string    `json:"name" db:"name"`
	Since  time.Time `json:"since" db:"since"`
	Age    Seconds   `json:"age_seconds" db:"-"`
	Who    string    `json:"who" db:"who"`
	Reason string    `json:"reason" db:"reason"`
}
