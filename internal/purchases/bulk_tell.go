package purchases

import (
	"cmp"
	"slices"
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

// appendTellings appends the events that have players folded whose purchases changed:
// one for a player and store, or for every toldMax purchases. Where one by one there is
// an event for each step of a purchase, this names its newest version: a fold reads the
// purchases as they are. changes are in the order of their keys.
func appendTellings(list []events.Event, lane events.Lane, changes []*Change, now time.Time) []events.Event {
	type step struct {
		player  string
		key     economy.PurchaseKey
		version int64
	}
	steps := make([]step, 0, len(changes))
	for _, c := range changes {
		for _, t := range c.earlier {
			steps = append(steps, step{t.player, c.After.Key, t.version})
		}
		if c.told.player != "" {
			steps = append(steps, step{c.told.player, c.After.Key, c.told.version})
		}
	}
	// Those of one player and store stay in the order of their transactions, and of versions.
	slices.SortStableFunc(steps, func(a, b step) int {
		if order := strings.Compare(a.player, b.player); order != 0 {
			return order
		}
		return cmp.Or(cmp.Compare(a.key.Store, b.key.Store), cmp.Compare(a.key.Environment, b.key.Environment))
	})
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
			list = append(list, events.NewStorePurchasesChanged(lane, s.key.Store, s.key.Environment, named, s.player, now))
			named = named[:0]
		}
	}
	return list
}
