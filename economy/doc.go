// Package economy holds the nouns of Sluice and the rules that need no
// database, no network and no clock: amounts and currencies, the catalogue,
// a spend with its state machine, and the saga that moves it; a purchase, how
// what is known of it joins, and what a customer's purchases come to. Standard library
// only, so that every rule in it can be tested as a table and simulated by the
// thousand.
package economy
