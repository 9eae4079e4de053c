// Package operations is what operators do, from the command line and the console
// alike, and the record of it.
//
//	dead letters   list, retry, edit and retry, resolve
//	pauses         a consumer, a lane, an item, a currency
//	spends         cancel, hold, release, refund (above a limit by two people)
//	the store      replay webhooks, read a customer again
//
// Every act is committed together with its line in operator_acts: who, when, why,
// what was before and what is after. The table takes no change and no deletion. An
// act changes something only if what it leaves is still so: of two at once one is
// made, and the other is told why not.
package operations
