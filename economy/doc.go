// Package economy holds the nouns of Sluice and the rules that need no
// database, no network and no clock: amounts and currencies, the catalogue,
// a spend with its state machine, and the saga that moves it. Standard library
// only, so that every rule in it can be tested as a table and simulated by the
// thousand.
package economy
