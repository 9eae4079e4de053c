// Package adjustments changes balances at the provider, each exactly once.
//
//	waiting spends → one adjustment, bound by a commit → call → settled
//
// The adjustment's key and exact bytes are committed BEFORE the first call, and
// every attempt sends those and no others. A player has at most one open
// adjustment; whoever finds one adopts it: same key, same bytes. It ends only
// with a definite answer, in the commit that also moves its spends and writes
// their ledger lines.
package adjustments
