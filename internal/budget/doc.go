// Package budget decides which call to the provider starts when, over all
// processes. It guarantees:
//
//   - In any sliding minute no more calls of a rate-limit domain start than the
//     provider allows, less a headroom for others that use the same key.
//   - Once any process has recorded a 429, or a 503 with a Retry-After, no call of
//     that domain starts in any process before the moment the provider named.
//   - Refunds come before live spends, before resyncs, before backfills, by shares,
//     so that none starves; within one weight the players take turns.
//   - While the provider fails, exactly one probe at a time is sent, by one of all
//     processes.
//
// One Take, from the caller to the provider:
//
//	Take ─► line (weights, players) ─► lease ─► account in PostgreSQL ─► permits ─► call
//
// A lease takes as many permits as calls wait, and in quiet times those expected
// within Lease (250 ms), from the account, which is one row per domain. A permit
// that is not used in that time lapses and is given back. Whoever would wait longer
// than about a second hears *NotYet with the time to come back: to wait longer is
// the outbox's business, where it costs no slot. A call that has to be prepared is
// admitted first (Provider.Admit), so that what may not start leaves no trace.
//
// The limit is learnt from the provider's RevenueCat-Rate-Limit-* headers. Until
// one was seen everything is admitted; the provider's 429 is the backstop.
package budget
