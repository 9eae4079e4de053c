package budget

import (
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// NotYet says that a call may not start now, and when to come back. Nothing was sent.
type NotYet struct {
	Domain revenuecat.Domain
	After  time.Duration
	Why    string
	Err    error // what went wrong on our side; nil: nothing did
}

// The reasons of a NotYet.
const (
	whyFull    = "the provider's calls of this minute are spent"
	whyClosed  = "the provider asked for a pause"
	whyCircuit = "the provider is down: waiting for the next probe"
	whyProbing = "the provider was down: a probe is under way"
	whyUnsure  = "the budget cannot be read"
)

// Error implements error.
func (n *NotYet) Error() string {
	if n.Err != nil {
		return fmt.Sprintf("%s: not sent, %s: %v", n.Domain, n.Why, n.Err)
	}
	return fmt.Sprintf("%s: not sent, %s", n.Domain, n.Why)
}

// RetryAfter returns when to come back at the earliest.
func (n *NotYet) RetryAfter() time.Duration { return n.After }

// Unwrap returns the cause.
func (n *NotYet) Unwrap() error { return n.Err }
