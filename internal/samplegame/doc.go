// Package samplegame is the server of a small game: it hands over the items that
// Sluice sells, as docs/handover.md asks, and has switches for everything such a
// server gets wrong. `sluice dev` and tests run it; nothing but HTTP ties the rest
// of the program to it. Whoever writes such a server may start from game.go.
//
// # The side that Sluice calls
//
//	POST /sluice    grant, check and revoke
//
// # The control side
//
//	GET   /control               the faults that are on, every one with its value
//	GET   /control/faults        the same
//	PUT   /control/faults        replaces all of them: what is left out is off
//	PATCH /control/faults        changes those named
//	GET   /control/players/{p}   what a player holds
//	GET   /control/spends/{id}   what is on record of a spend
//
// Members of the faults, all optional: down, refuse, keep, hollow_grant,
// hollow_revoke, forget_revoked, skip_signature, skip_timestamp, grant_twice,
// other_spend (true or false), fail_before, lose_answer (shares of the requests, 0
// to 1), delay (such as "50ms"). See Faults. The control side answers only this
// machine. Everything is kept in memory.
package samplegame
