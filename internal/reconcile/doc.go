// Package reconcile compares the provider's balances with our ledger: for chosen,
// sampled or all customers, one after the other, behind everything else that asks
// the provider.
//
//	wallet by our books, before and after │ the provider's balance between them
//
// A reading is comparable only while nothing moves: no call of ours is open or of
// unknown outcome, and our books say the same before and after it. A difference
// counts only when a second look, minutes later, finds the same one with no movement
// owed to our books: a movement of the provider may be on its way to us until then.
//
// A repair adds a correcting line to our ledger. It changes no line that is there,
// and never the provider's balance, which is the truth.
package reconcile
