// Package currencyfeed holds the provider's ledger of currency (the In-App Currency
// feed of its exports) against ours.
//
//	a snapshot of the feed → staged → compared in sets → calls of unknown outcome settled
//
// The feed tells the idempotency key of every change of a balance. So it says what
// became of a charge whose answer was lost and whose key is answered 409 since: the
// key is there, and it was applied; or the feed reaches past the time by which
// anything would have come of the key, has our other keys, and lacks this one.
package currencyfeed
