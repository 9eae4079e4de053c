// Package audit proves conservation: in one snapshot of PostgreSQL, per player and
// currency, what was charged is fulfilled, refunded or in flight.
//
// It proves it line by line: the spends ask for lines, calls and items, and those are
// what is there, no more and no less; the sums of every player follow. The whole is
// compared by fingerprints of the tables, each of which is read once (prints.go); a
// part by joining it (part.go). Only where these differ are the spends looked at one by
// one, to name what is wrong (exact.go).
//
//	Whole    the whole database, in one snapshot
//	Watcher  what changed since the last time, and a part of everything else
//	Player   one player's page: every movement, its cause, the running balance
package audit
