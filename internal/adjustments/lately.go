package adjustments

import "sync"

// latelyMax is how many spends are kept in mind: those of some hundred milliseconds at
// the highest rates. A message takes milliseconds.
const latelyMax = 4096

// lately keeps in mind which spends this process settled a moment ago, and with them the
// deliveries that told of them. Spends are charged together, while each has a message of
// its own: of those that come afterwards nothing needs to be read to know that they are
// done. The zero value is empty and ready.
type lately struct {
	mu    sync.Mutex
	ids   map[string]bool
	order []string // a ring, from next on the oldest
	next  int
}

// add keeps the ids of spends whose settlement was committed.
func (l *lately) add(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids == nil {
		l.ids, l.order = make(map[string]bool, latelyMax), make([]string, latelyMax)
	}
	for _, id := range ids {
		delete(l.ids, l.order[l.next])
		l.ids[id], l.order[l.next] = true, id
		l.next = (l.next + 1) % latelyMax
	}
}

// take reports whether a spend is kept, once: whoever asks again was sent again, for a
// reason that only the database knows.
func (l *lately) take(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.ids[id]
	delete(l.ids, id)
	return kept
}
