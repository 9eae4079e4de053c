package budget

import "math"

// Whose turn it is. Two levels of stride scheduling: each weight has a pass, what
// it had so far divided by its share, and the weight with the lowest pass that has
// calls waiting is next; within it, likewise, the process, whose share is the
// number of its players. (C. Waldspurger, W. Weihl: Stride Scheduling, MIT 1995.)

// A weight or process that had nothing waiting keeps its pass, so that whoever
// comes and goes gains nothing by it, and may lag behind by one call: so one that
// was told to come back later is next when it does, and nobody starves.

// enter keeps what a process says about those who wait in it.
func (a *account) enter(now int64, k ask) {
	list := a.Waiting[k.process]
	if list == nil {
		list = &waitList{}
	}
	list.SaidAt, list.Calls, list.Players = now, k.calls, k.players
	if a.Waiting == nil {
		a.Waiting = map[string]*waitList{}
	}
	a.Waiting[k.process] = list
	demand := a.demand()
	level(&a.Passes, demand, func(w Weight) float64 { return 1 / shares[w] })
	for _, w := range urgent {
		a.levelProcesses(w)
	}
}

// forget drops what is known of processes that have not come back.
func (a *account) forget(now int64) {
	for process, list := range a.Waiting {
		if now-list.SaidAt > waitingTTL.Milliseconds() {
			list.Calls = perWeight{}
		}
		if now-list.SaidAt > passTTL.Milliseconds() {
			delete(a.Waiting, process)
		}
	}
}

// level moves the passes so that the lowest with calls waiting is 0.
func level(passes *[weights]float64, calls perWeight, lag func(Weight) float64) {
	least := math.Inf(1)
	for w, n := range calls {
		if n > 0 {
			least = min(least, passes[w])
		}
	}
	if math.IsInf(least, 1) {
		return
	}
	for w := range passes {
		passes[w] = max(passes[w]-least, -lag(Weight(w)))
	}
}

// levelProcesses does the same for the processes of one weight.
func (a *account) levelProcesses(w Weight) {
	least := math.Inf(1)
	for _, list := range a.Waiting {
		if list.Calls[w] > 0 {
			least = min(least, list.Passes[w])
		}
	}
	if math.IsInf(least, 1) {
		return
	}
	for _, list := range a.Waiting {
		list.Passes[w] = max(list.Passes[w]-least, -list.stride(w))
	}
}

// demand is how many calls wait over all processes.
func (a *account) demand() perWeight {
	var sum perWeight
	for _, list := range a.Waiting {
		for w, calls := range list.Calls {
			sum[w] += calls
		}
	}
	return sum
}

func (a *account) waiting() int { return a.demand().total() }

// allot plays out whose turn the next n calls are and returns those of process.
// It changes nothing: those of others wait for the others to come.
func (a *account) allot(n int, process string) perWeight {
	var mine perWeight
	if list := a.Waiting[process]; list == nil {
		return mine
	} else if a.waiting() <= n {
		return list.Calls // enough for everybody
	}
	passes, lists := a.Passes, make(map[string]waitList, len(a.Waiting))
	for name, list := range a.Waiting {
		lists[name] = *list
	}
	for range n {
		weight, found := nextWeight(passes, lists)
		if !found {
			break
		}
		name := nextProcess(weight, lists)
		list := lists[name]
		list.Calls[weight]--
		list.Passes[weight] += list.stride(weight)
		lists[name] = list
		passes[weight] += 1 / shares[weight]
		if name == process {
			mine[weight]++
		}
	}
	return mine
}

func nextWeight(passes [weights]float64, lists map[string]waitList) (next Weight, found bool) {
	for _, w := range urgent {
		waits := false
		for _, list := range lists {
			waits = waits || list.Calls[w] > 0
		}
		if waits && (!found || passes[w] < passes[next]) {
			next, found = w, true
		}
	}
	return next, found
}

func nextProcess(w Weight, lists map[string]waitList) string {
	next := ""
	for name, list := range lists {
		if list.Calls[w] == 0 {
			continue
		}
		if best, found := lists[next]; !found || list.Passes[w] < best.Passes[w] ||
			list.Passes[w] == best.Passes[w] && name < next {
			next = name
		}
	}
	return next
}

// stride is what one call adds to the pass of a process.
func (l waitList) stride(w Weight) float64 { return 1 / float64(max(1, l.Players[w])) }

// take counts what a process was given.
func (a *account) take(process string, g grant) {
	taken := g.calls.total() + g.extra
	if taken == 0 {
		return
	}
	a.Log = a.Log.add(g.until, taken)
	a.Tokens = max(0, a.Tokens-float64(taken))
	list := a.Waiting[process]
	if list == nil {
		return
	}
	contested := a.waiting() > g.calls.total()
	for w, calls := range g.calls {
		list.Calls[w] -= calls
		if contested {
			a.Passes[w] += float64(calls) / shares[w]
			list.Passes[w] += float64(calls) * list.stride(Weight(w))
		}
	}
}
