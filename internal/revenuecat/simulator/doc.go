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
//	GET  /projects/{p}/customers/{c}/aliases
//	GET  /projects/{p}/customers/{c}/purchases       ?environment=
//	GET  /projects/{p}/customers/{c}/subscriptions   ?environment=
//	GET  /projects/{p}/subscriptions/{s}/transactions
//	GET  /projects/{p}/purchases                     ?store_purchase_identifier=
//	GET  /projects/{p}/subscriptions                 ?store_subscription_identifier=
//	GET  /projects/{p}/products, /projects/{p}/products/{id}
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
// balances and at most 1,000, a domain has fixed windows of one minute in which a
// 429 is not counted, the project's configuration has an eighth of the others' limit
// (60 of 480), periods of stores other than Apple's and Google's are a 422, the
// balances of two customers that become one are added, and a reversed refund gives
// its currency again.
//
// # Webhooks
//
// What happens at the stores (see below) is told to Config.Webhooks.URL: the events
// as in the provider's samples, with its Authorization value and, when there is a
// secret, X-RevenueCat-Webhook-Signature, made anew for every attempt. Only a 200 is
// taken; up to five more attempts follow on the provider's schedule, made shorter.
// An adjustment by the API sends no event. Events under way do not survive a restart.
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
// The stores, their customers and the provider's dashboard, all optional members in
// brackets:
//
//	GET   /control/products         what is for sale; POST adds {"store","identifier",["name","price","lasts","credits"]}
//	POST  /control/buy              {"customer","product",["store","sandbox","quantity","trial","family","lasts","transaction"]}
//	POST  /control/renew            {"transaction",["product"]} begins the next period
//	POST  /control/cancel           {"transaction"} turns renewal off; /control/uncancel on
//	POST  /control/billing          {"transaction",["grace"]} the store cannot charge
//	POST  /control/expire           {"transaction"} ends a subscription now
//	POST  /control/refund           {"transaction"}; /control/unrefund takes it back
//	POST  /control/transfer         {"from","to"} moves everything bought
//	POST  /control/link             {"customer","alias"} logs in: two ids become one customer
//	GET   /control/purchases        ?customer= what somebody bought
//	GET   /control/webhooks         how they go; PUT and PATCH change their faults
//	GET   /control/events           the newest events, ?limit=100, and what became of their webhooks
//	POST  /control/events           sends the body once, now, proved as all webhooks are, and shows the answer's status
//	GET   /control/events/{id}      one with its body; POST sends it once more
//
// Buying answers {"id","transaction","events"}: the provider's id, the store's, and
// those of the events that follow. Faults of webhooks: lose, duplicate, reorder
// (shares of the events), delay, jitter. See WebhookFaults.
//
// Members of the faults, all optional: fail_before, lose_answer, locked,
// too_many, replay_conflict (shares of the calls, 0 to 1), delay, jitter
// (durations such as "50ms"), brown_out, down, unauthorized (true or false),
// rate_per_minute (0: no limit). See Faults. Errors are {"error":"..."}.
//
// The control side asks for no key and answers 403 to every address but
// loopback, unless Config.OpenControls is set.
package simulator
