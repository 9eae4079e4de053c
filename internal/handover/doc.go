// Package handover hands items over through the game's own servers.
//
//	grant   the item of a spend is the player's      → granted | refused | revoked
//	check   what the game has on record of it        → granted | revoked | none
//	revoke  take it back, and refuse any later grant → revoked | granted (kept)
//
// Each is one signed POST (Standard Webhooks) that may be repeated. docs/handover.md
// is the contract, for those who write the other side; Verify tries it on their
// server. An answer counts only when it is a 200, names the spend, and says one of
// the words above; everything else is no answer, and the same request is sent again.
//
// Every Endpoint is a lane of its own: it has its own requests under way, its own
// circuit and its own waits, so that one which is slow or dead holds up nobody
// else's spends. It never blocks its caller for more than a moment and a request.
//
// Nothing this package returns, logs or counts holds a secret or a player's id.
package handover
