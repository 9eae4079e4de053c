// Package simulator is a RevenueCat that runs on this machine: an HTTP server
// that speaks the documented part of the REST API v2 that Sluice uses, with
// faults that can be switched on. `sluice dev`, `sluice simulate` and tests use
// it; nothing but HTTP ties the rest of the program to it.
//
// # The provider's side, below /v2
//
//	POST /projects/{p}/customers/{c}/virtual_currencies/transactions
//	GET  /projects/{p}/customers/{c}/virtual_currencies
//	POST /projects/{p}/customers
//	GET  /projects/{p}/customers/{c}
//	GET  /projects/{p}/virtual_currencies
//
// A transaction is applied whole or not at all, and leaves every balance within
// 0 and 2,000,000,000. An idempotency key is known in the whole project and for
// good: the same key, customer and bytes again move nothing and answer 200 with
// the balances of now; anything else under that key is a 409. A transaction that
// was refused does not use up its key. While one write of a customer is under
// way, every other write of that customer is a 423.
//
// Where the documentation is silent we chose: an unknown currency is a 400
// parameter_error (not a 404, which would read as an unknown customer), a change
// of 0 is a 400, the answer lists the currencies touched, a page holds 20
// balances and at most 1,000, a limited domain has fixed windows of one minute
// in which a 429 is not counted, and the project's catalogue is not limited.
//
// # The control side, below /control
//
//	GET   /control                  every switch, its value, and how to set it
//	GET   /control/faults           the faults that are on
//	PUT   /control/faults           replaces all of them: what is left out is off
//	PATCH /control/faults           changes those named
//	POST  /control/customers/{c}    {"balances":{"GEM":1000}} creates the customer, or sets these balances
//	GET   /control/customers/{c}    balances, and every transaction that was applied
//	GET   /control/stats            what was called and what came of it; ?customers=1 adds every customer's sums
//	POST  /control/reset            forgets customers, keys, counters, and returns to the faults of the start
//
// Members of the faults, all optional: fail_before, lose_answer, locked,
// too_many, replay_conflict (shares of the calls, 0 to 1), delay, jitter
// (durations such as "50ms"), brown_out, down, unauthorized (true or false),
// rate_per_minute (0: no limit). See Faults. Errors are {"error":"..."}.
//
// The control side asks for no key and answers 403 to every address but
// loopback, unless Config.OpenControls is set.
package simulator
