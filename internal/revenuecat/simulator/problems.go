package simulator

import (
	"net/http"
	"strings"
	"time"
)

// The pauses of answers that may be tried again. The samples of the provider
// name 1000 ms; its figure for a locked customer is not known.
const (
	backoffServer = time.Second
	backoffLocked = 100 * time.Millisecond
)

// problem is the provider's error body (RevenueCat API v2, schema Error).
type problem struct {
	Object    string `json:"object"`
	Type      string `json:"type"`
	Param     string `json:"param,omitempty"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
	DocURL    string `json:"doc_url"`
	BackoffMS int64  `json:"backoff_ms,omitempty"`
}

func refusal(status int, kind, param, message string) reply {
	return reply{status: status, body: problem{
		Object: "error", Type: kind, Param: param, Message: message,
		DocURL: "https://errors.rev.cat/" + strings.ReplaceAll(kind, "_", "-"),
	}}
}

func retryable(status int, kind, message string, backoff time.Duration) reply {
	out := refusal(status, kind, "", message)
	body := out.body.(problem)
	body.Retryable, body.BackoffMS = true, max(backoff.Milliseconds(), 1)
	out.body = body
	return out
}

func invalidRequest(message string) reply {
	return refusal(http.StatusBadRequest, "invalid_request", "", message)
}

func badParameter(param, message string) reply {
	return refusal(http.StatusBadRequest, "parameter_error", param, message)
}

func missing(what string) reply {
	return refusal(http.StatusNotFound, "resource_missing", "", "No such "+what+".")
}

func unauthorized() reply {
	return refusal(http.StatusUnauthorized, "authentication_error", "", "The API key is not valid.")
}

// notEnough is, to the letter, the provider's sample of a rejected spend. It is
// the answer above the largest balance, too: another one is not documented.
func notEnough() reply {
	return refusal(http.StatusUnprocessableEntity, "unprocessable_entity_error", "adjustments",
		"Customer's balance is not enough to perform the transaction.")
}

func keyConflict() reply {
	return refusal(http.StatusConflict, "idempotency_error", "",
		"The idempotency key was already used for a different request.")
}

func locked() reply {
	return retryable(http.StatusLocked, "resource_locked_error",
		"Another request is working on this customer.", backoffLocked)
}

func serverError(status int) reply {
	return retryable(status, "server_error", "Something went wrong on our side.", backoffServer)
}

// tooMany carries the wait twice, as documented: backoff_ms, and Retry-After in
// whole seconds, rounded up.
func tooMany(wait time.Duration) reply {
	out := retryable(http.StatusTooManyRequests, "rate_limit_error", "Rate limit exceeded", wait)
	out.retryAfter = wait
	return out
}
