// Package config turns what an operator wrote into values that are safe to run
// with, or into one list of everything that is wrong with it.
//
//	defaults <- YAML file named by SLUICE_CONFIG <- environment   => Config
//	catalogue file                                                => economy.Catalog
//
// One table (variables.go) holds every setting: its variable, its YAML key,
// whether it is secret, and what it is for. Parsing, help, the example file and
// the tests derive from that table, so they cannot disagree.
//
// What it guarantees: a key or variable that nobody knows is an error and never
// ignored; secrets do not leave through any way of printing a value; every
// problem is reported at once, with its place and what to write instead.
package config
