// Package producers holds what everything that writes to the outbox over HTTP has
// in common: how a problem is told to the caller (RFC 9457), and how a handler says
// on its request's log line what came of it.
package producers
