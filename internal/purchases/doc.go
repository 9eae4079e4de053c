// Package purchases is where purchases made with money are written down: the raw
// webhooks, every statement about a purchase and what they come to, which ids are
// one customer, transfers, accesses, claims, and the movements of currency that
// the provider made by itself.
//
// Writing goes through outbox.Effects: this package declares the kinds of rows.
// The rules (how statements join, what purchases come to) are in economy; Store
// reads what they need. docs/purchases.md says who calls what.
package purchases
