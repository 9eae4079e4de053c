// Package spendapi is the HTTP API of players and of game servers: it accepts
// spends and grants, and tells how they stand.
//
//	POST /spend         {spend requested} + spend.requested.v1, in one commit
//	GET  /spends/{id}   one spend or grant
//	GET  /wallet        our copy of the balances
//	GET  /inventory     what the player holds
//	POST /purchases/claims   "I bought X": {claim pending} + customer.resync.requested.v1, in one commit
//	POST /purchases/restore  customer.resync.requested.v1: read the player's purchases again
//	POST /spends/batch  with a server key: up to 1,000 spends of any players
//	POST /grants        with a server key: currency for a player, on the same road
//
// What it guarantees: a 200 or 202 means that the spend is committed in
// PostgreSQL. The client names neither the price nor another player: prices come
// from the catalogue, the player from the verified session; only a game's server
// names players. One idempotency key of a player makes one spend or grant, for
// ever; repeating it tells how that one stands now, also when the item has since
// been paused, repriced or removed. No token, key or player id is logged.
//
// Errors are application/problem+json (RFC 9457); problems.go lists all of them.
package spendapi
