package purchases

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
)

// toldMax is how many purchases one event names: 10 kB.
const toldMax = 200

// telling says that a player is told of a purchase at a version.
type telling struct {
	player  string
	version int64
}

// tells keeps whom a step concerns. A player is told of its newest version only.
func (c *Change) tells(player string, version int64) {
	if c.told.player != "" && c.told.player != player {
		c.earlier = append(c.earlier, c.told)
	}
	c.told = telling{player, version}
}

// step is a version of a purchase that a player is told of.
type step struct {
	player  string
	key     economy.PurchaseKey
	version int64
}

// stepsOf returns whom changes concern: those of one player and store stay in the order
// of their transactions, as changes are, and of versions.
func stepsOf(changes []*Change) []step {
	steps := make([]step, 0, len(changes))
	for _, c := range changes {
		for _, t := range c.earlier {
			steps = append(steps, step{t.player, c.After.Key, t.version})
		}
		if c.told.player != "" {
			steps = append(steps, step{c.told.player, c.After.Key, c.told.version})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		if order := strings.Compare(a.player, b.player); order != 0 {
			return order
		}
		return cmp.Or(cmp.Compare(a.key.Store, b.key.Store), cmp.Compare(a.key.Environment, b.key.Environment))
	})
	return steps
}

// tellings returns the events that have players folded whose purchases changed: one for a
// player and store, or for every toldMax purchases. Where one by one there is an event for
// each step of a purchase, this names its newest version: a fold reads the purchases as
// they are. It reads the links as they are, too: who is told of a purchase needs no event
// of its own for ids that were linked in the same commit. commit is the id of that.
func (b *Bulk) tellings(commit string, changes []*Change, linked [][]string, now time.Time) []events.Event {
	steps := stepsOf(changes)
	var list []events.Event
	links := map[string]bool{} // of whom the next event has to tell that it was linked
	for _, group := range linked {
		told := slices.IndexFunc(group, func(id string) bool {
			_, found := slices.BinarySearchFunc(steps, id, func(s step, id string) int { return strings.Compare(s.player, id) })
			return found
		})
		if told < 0 {
			list = append(list, LinkedEvent(b.config.Lane, b.config.Source, group, now))
			continue
		}
		links[group[told]] = true
	}
	named := make([]events.Version, 0, toldMax)
	for i, s := range steps {
		var next step
		if i+1 < len(steps) {
			next = steps[i+1]
		}
		if next.player == s.player && next.key == s.key {
			continue // it was another's in between
		}
		named = append(named, events.Version{TransactionID: s.key.TransactionID, Version: s.version})
		if next.player != s.player || next.key.Store != s.key.Store || next.key.Environment != s.key.Environment || len(named) == toldMax {
			id := commit + "." + strconv.Itoa(len(list))
			list = append(list, events.NewStorePurchasesChanged(id, b.config.Lane, s.key.Store, s.key.Environment, named, links[s.player], s.player, now))
			delete(links, s.player)
			named = named[:0]
		}
	}
	return list
}
