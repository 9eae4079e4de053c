package revenuecat

import (
	"fmt"
	"time"
)

// Error is a read that did not succeed. It holds no player id and no key.
type Error struct {
	Op         Op
	Status     int           // HTTP status; 0: no answer, or the call was not made
	Code       string        // the provider's error type, or the usual one of the status
	RetryAfter time.Duration // how long the provider asked to wait; 0: it did not say
	Detail     string        // short words for operators
	Err        error         // context.Canceled or context.DeadlineExceeded when it was that, else nil
}

// Error formats the failure for people.
func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("revenuecat %s: %s", e.Op, e.Detail)
	}
	return fmt.Sprintf("revenuecat %s: %d %s: %s", e.Op, e.Status, e.Code, e.Detail)
}

// Unwrap returns the context's error, if that ended the call.
func (e *Error) Unwrap() error { return e.Err }

func (a answer) failure(op Op, detail string) *Error {
	return &Error{Op: op, Status: a.status, Code: a.code, RetryAfter: a.wait, Detail: detail, Err: a.cause}
}
