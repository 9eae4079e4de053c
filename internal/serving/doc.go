// Package serving runs an HTTP server that ends without cutting a client off.
//
// net/http's own Shutdown stops listening and closes every idle connection at
// once. A load balancer that has not looked yet then finds nobody, and a client
// whose next request is already on its way sees a reset; a connection that was
// opened and never used holds the end up for five seconds. Here the end goes
// in three steps:
//
//  1. Grace: new connections are still taken, so that load balancers have time to
//     see /readyz say 503. Every answer asks its client to close (RFC 9112, 9.6).
//  2. The door closes: no more new connections. What the kernel has accepted
//     already is answered, not reset.
//  3. What is left: requests in hand are answered. A connection without one is
//     closed once it has been quiet for a second, since a client that sends often
//     learns with its next answer that it is to close.
//
// What remains is the race that RFC 9112, 9.5, leaves to every server: a client
// that was quiet for longer, and sends just as its connection is closed.
package serving
