// Package rcwebhook takes RevenueCat's webhooks.
//
//	POST /webhooks/revenuecat   {raw event} + store.webhook.received.v1 or store.currency.moved.v1, in one commit
//
// What it guarantees: nothing is read of a body before its bytes are proven to be
// RevenueCat's. A 200 means that the event is committed in PostgreSQL, or was
// before: the same event again is 200 and nothing else. Whatever is authentic is
// kept, also what we do not know, do not take or cannot read; only what we take and
// know is acted on. A burst of webhooks holds up no spend.
//
// Answers: 200 with an empty body; 400 for what is no event, 401 for what is not
// authentic, 405, 413 above 1 MiB, and 503 when PostgreSQL is down or too many are
// in hand. RevenueCat sends again whatever was not 200: five times, the last about
// 155 minutes after the first. Errors are application/problem+json (RFC 9457).
//
// Bodies hold e-mails and attributes: internal/retention clears them by age, and
// then deletes the rows.
package rcwebhook
