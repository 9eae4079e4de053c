// Package audit proves conservation: in one snapshot of PostgreSQL, per player and
// currency, what was charged is fulfilled, refunded or in flight.
//
// It proves it line by line. Every line of the ledger is held against its spend:
// right kind for the spend's state, the spend's cost and player, the accounts of
// its kind. Each such line is one of those the spend's state asks for, and no line
// is there twice (primary key); so where there are as many as all spends ask for,
// none is missing either, and the sums of every player follow. Only where a count
// or a line is wrong are the spends looked at one by one, to name what is wrong.
//
//	Whole    the whole database, in one snapshot
//	Watcher  what changed since the last time, and a part of everything else
//	Player   one player's page: every movement, its cause, the running balance
package audit
