// Package books is where money and goods are written down: spends, the ledger,
// the inventory, the copy of balances, and the catalogue's versions.
//
// Writing goes through outbox.Effects: this package declares the kinds of rows
// and turns a step of the saga (economy.Change) into them. Reading is plain SQL.
package books
