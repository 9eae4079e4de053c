// Package consumers holds what every consumer of events shares: the contract
// (Spec, Consumer), the one policy for what happens when one fails (Decide), and
// the Runner that feeds deliveries to it and commits what it wants changed.
//
// A consumer is one folder below this one and one line in the list in
// cmd/sluice/consumers.go. Everything else about it derives from its Spec.
package consumers
