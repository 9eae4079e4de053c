// Package bench measures a whole Sluice: it starts a private site of processes, or
// looks at a running one, has load asked of it by a process of its own, and says
// what was accepted and fulfilled, how long each hop took, what it cost, and
// whether the books are right afterwards.
//
// Every figure of a run is taken between two moments of rest: nothing is under way
// before the load and nothing after it, so that what was spent in between (CPU,
// log, calls, allocations) divides by the spends without a remainder. Rates are
// counted while the load lasts.
package bench
