// Package spendapi is the player's side of the HTTP API: it accepts spends and
// tells how they stand.
//
//	POST /spend        {spend requested} + spend.requested.v1, in one commit
//	GET  /spends/{id}  one spend
//	GET  /wallet       our copy of the balances
//	GET  /inventory    what the player holds
//
// What it guarantees: a 200 or 202 means that the spend is committed in
// PostgreSQL. The client names neither the price nor another player: prices come
// from the catalogue, the player from the verified session. One idempotency key
// of a player makes one spend, for ever; repeating it tells how that spend stands
// now, also when the item has since been paused, repriced or removed. No token,
// key or player id is logged.
//
// Errors are application/problem+json (RFC 9457); problems.go lists all of them.
package spendapi
