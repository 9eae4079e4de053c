// Package outbox makes facts durable before anybody acts on them, and sees to
// it that everybody who is owed a fact gets it, whatever dies in between.
//
// Committer turns Effects (values that say what should change) of many
// concurrent callers into few commits: spends, ledger lines, grants, the outbox
// rows of new events and the end of the delivery that caused them.
// Relay hands committed events to the broker from memory.
// Sweeper finds, by PostgreSQL's clock, the rows that are still owed although
// nothing in the broker will bring them, and publishes them again.
//
// An outbox row is one event owed to one durable consumer. It is deleted in the
// commit that records that consumer's effect, not when the broker took the
// message: PostgreSQL is the truth, the broker is transport.
package outbox
