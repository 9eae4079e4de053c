// Package console is the web console at /console/: pages for people who operate a
// game's economy, rendered on the server, with a little script for local times, live
// plots and the menu. It loads nothing from anywhere else and works without script.
//
// Who logs in with a key of SLUICE_ADMIN_KEYS may look; support acts for one player,
// an operator does everything. Every act goes through internal/operations, which asks
// for a reason and keeps an audit. A page never shows a secret, and masks what looks
// like an e-mail address.
//
// Every page reads a bounded number of rows, so that it stays fast however many spends
// there are: see search.go.
package console
