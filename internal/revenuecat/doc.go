// Package revenuecat speaks RevenueCat's REST API v2: it changes and reads
// the virtual-currency balances of customers, and reads what they bought (Reader).
//
// Adjust never returns an error. Every way a call can end, an answer, a broken
// answer, a lost connection, is one economy.Outcome of a closed set:
//
//	200                                  applied
//	422, balance not enough, on a debit  insufficient
//	400, other 422, 404 to the end       refused
//	401, 403, 423, 429, nothing sent     temporary
//	408, 409, 5xx, answer lost, others   unknown
//
// One Adjust sends a request once (twice only when the first answer was 404 and
// the customer was created in between). Retries belong to the caller, who keeps
// the idempotency key and the bytes; net/http is kept from repeating a write by
// itself. A read it may repeat, once, when a reused connection was lost.
//
// After a 429, or a 503 with a Retry-After, no call of that rate-limit domain
// starts in this process until the moment the provider named.
//
// Nothing this package returns, logs or observes holds the secret key or a
// player's id.
package revenuecat
