package samplegame

import "maps"

// State is where a spend stands in the game.
type State string

// The states, as Sluice is told them.
const (
	Granted State = "granted" // the item is the player's
	Refused State = "refused" // not granted; nothing is kept of it
	Revoked State = "revoked" // not the player's, and never will be
	None    State = "none"    // nothing is known
)

// Record is what the game keeps of a spend, for ever: a request may come late.
type Record struct {
	Player   string `json:"app_user_id"`
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"` // how many the player got by it
	State    State  `json:"state"`
	Kept     bool   `json:"kept"` // a revoke was answered with granted: so will be every other
	Test     bool   `json:"test"`
}

// decide does what an operation asks for and returns the answer; false: there is no
// such operation. A real game does the same in one transaction of its database, with
// the spend's id as a unique key.
func (g *Game) decide(operation string, asked Record, spendID string) (answer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch operation {
	case "grant":
		return g.grant(asked, spendID), true
	case "check":
		return g.told(spendID), true
	case "revoke":
		return g.revoke(asked, spendID), true
	}
	return answer{}, false
}

// grant gives the item, once per spend and never after a revoke.
func (g *Game) grant(asked Record, spendID string) answer {
	record := g.records[spendID]
	switch {
	case record != nil && record.State == Granted && g.faults.GrantTwice:
		g.give(record, asked.Quantity)
		return g.told(spendID)
	case record != nil && record.State == Granted:
		return g.told(spendID)
	case record != nil && !g.faults.ForgetRevoked:
		return g.told(spendID)
	case !g.knows(asked):
		return answer{SpendID: spendID, State: Refused, Reason: "no such item"}
	case g.faults.Refuse:
		return answer{SpendID: spendID, State: Refused, Reason: "the game refuses every owner"}
	case g.faults.HollowGrant:
		return answer{SpendID: spendID, State: Granted, Quantity: asked.Quantity}
	}
	made := Record{Player: asked.Player, Item: asked.Item, State: Granted, Test: asked.Test}
	g.records[spendID] = &made
	g.give(&made, asked.Quantity)
	return g.told(spendID)
}

// revoke takes the item back, or decides for good that it stays. A spend that was
// never granted is remembered, so that it never will be.
func (g *Game) revoke(asked Record, spendID string) answer {
	record := g.records[spendID]
	switch {
	case g.faults.HollowRevoke:
		return answer{SpendID: spendID, State: Revoked}
	case record == nil:
		g.records[spendID] = &Record{Player: asked.Player, Item: asked.Item, State: Revoked, Test: asked.Test}
	case record.State == Granted && (g.faults.Keep || record.Kept):
		record.Kept = true
		said := g.told(spendID)
		said.Reason = "it is used"
		return said
	case record.State == Granted:
		g.give(record, -record.Quantity)
		record.State = Revoked
	}
	return g.told(spendID)
}

func (g *Game) told(spendID string) answer {
	record := g.records[spendID]
	if record == nil {
		return answer{SpendID: spendID, State: None}
	}
	return answer{SpendID: spendID, State: record.State, Quantity: record.Quantity}
}

// give changes what a player holds and how much of it is the record's.
func (g *Game) give(record *Record, quantity int64) {
	if g.held[record.Player] == nil {
		g.held[record.Player] = map[string]int64{}
	}
	g.held[record.Player][record.Item] += quantity
	record.Quantity += quantity
	if g.held[record.Player][record.Item] == 0 {
		delete(g.held[record.Player], record.Item)
	}
}

// Record returns what is on record of a spend; its State is None when nothing is.
func (g *Game) Record(spendID string) Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	if record := g.records[spendID]; record != nil {
		return *record
	}
	return Record{State: None}
}

// Holds returns what a player holds, by item.
func (g *Game) Holds(player string) map[string]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if held := maps.Clone(g.held[player]); held != nil {
		return held
	}
	return map[string]int64{}
}

// Faults returns the faults that are on.
func (g *Game) Faults() Faults {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.faults
}

// SetFaults replaces all faults, for the requests that come in from now on.
func (g *Game) SetFaults(f Faults) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = f
}
