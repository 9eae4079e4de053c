package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/events"
	"github.com/sluice-gems/sluice/internal/books"
	"github.com/sluice-gems/sluice/outbox"
)

// catalog has an item for every road a spend can take.
var catalog = economy.Catalog{Version: 1, Items: map[string]economy.Item{
	"sword":   {ID: "sword", Price: economy.Amounts{"GEM": 50}, HandOver: inventory},
	"bundle":  {ID: "bundle", Price: economy.Amounts{"GEM": 30, "GOLD": 2}, HandOver: inventory},
	"ticket":  {ID: "ticket", Price: economy.Amounts{"GEM": 40}, HandOver: economy.HandOver{Port: economy.HandOverRefuse, Reason: "sold out"}},
	"limited": {ID: "limited", Price: economy.Amounts{"GEM": 60}, PlayerLimit: 2, HandOver: inventory},
	"gum":     {ID: "gum", Price: economy.Amounts{"GEM": 10}, HandOver: inventory},
	"charm":   {ID: "charm", Price: economy.Amounts{"GEM": 15}, HandOver: economy.HandOver{Port: economy.HandOverHTTP, Endpoint: gameName}},
}}

var (
	inventory = economy.HandOver{Port: economy.HandOverInventory}
	items     = []string{"sword", "sword", "bundle", "ticket", "ticket", "limited", "gum", "gum", "charm", "charm", quest}
	players   = []string{"anna", "ben"}
)

// quest is no item: who asks for it is the game's server, for a grant.
const quest = "quest"

// request is one thing a player's app asks for, as often as it must.
type request struct{ player, item, key string }

// plan decides what the players have, what we believe they have, and what they
// want. A player who buys nothing elsewhere has balances that only we move.
func (w *world) plan() {
	for i, player := range players[:1+w.random.IntN(len(players))] {
		w.rc.give(player, economy.Amounts{"GEM": economy.Amount(w.random.IntN(160)), "GOLD": economy.Amount(w.random.IntN(4))})
		w.sole[player] = w.random.IntN(2) == 0
		if w.random.IntN(2) == 0 {
			w.believe(player)
		}
		for n := range 1 + w.random.IntN(7-3*i) {
			w.intake = append(w.intake, request{player, items[w.random.IntN(len(items))], fmt.Sprintf("%s/%d", player, n)})
		}
	}
	w.random.Shuffle(len(w.intake), func(i, j int) { w.intake[i], w.intake[j] = w.intake[j], w.intake[i] })
}

// ask starts the next request. The app repeats it until it has an answer, and
// sometimes once more, always under the same key.
func (w *world) ask() {
	r := w.intake[0]
	w.intake = w.intake[1:]
	w.spawn("app of "+r.player, nil, func() {
		for again := true; again; {
			result, err := w.accept(r)
			again = err != nil || (result == outbox.Applied && w.random.IntN(5) == 0)
			if again {
				w.pause("ask again " + r.key)
			}
		}
	})
}

func (w *world) accept(r request) (outbox.Result, error) {
	item, now, id := catalog.Items[r.item], time.Now(), w.newID("s")
	spend := economy.Spend{
		ID: id, AppUserID: r.player, IdempotencyKey: r.key, Item: r.item, Quantity: 1,
		Cost: item.Price, CatalogVersion: catalog.Version, State: economy.Requested, AcceptedAt: now,
	}
	if r.item == quest {
		spend.Kind, spend.Item, spend.Cost, spend.CatalogVersion, spend.Note = economy.KindGrant, "", economy.Amounts{"GEM": 20}, 0, quest
	}
	return committer{w}.Commit(context.Background(), outbox.Effects{
		Guard:  books.Accept{Spend: spend, PlayerLimit: item.PlayerLimit},
		Events: []events.Event{events.NewSpendRequested(id, r.player, now)},
		Owner:  r.player, Intake: true,
	})
}

// believe has the mirror keep a reading from before the schedule: the truth of a
// player whose balances only we move, else anything.
func (w *world) believe(player string) {
	held := w.rc.held(player)
	for _, currency := range held.Currencies() {
		amount := held[currency]
		if !w.sole[player] {
			amount = economy.Amount(w.random.IntN(400))
		}
		w.db.balances[[2]string{player, string(currency)}] = keptBalance{amount, w.born}
	}
}

// foreign is a movement that is not ours: a purchase in the store, or what the
// provider takes back.
func (w *world) foreign(sign economy.Amount) {
	player, amount := players[w.random.IntN(len(players))], economy.Amount(10*(1+w.random.IntN(9)))
	if w.sole[player] {
		return
	}
	if sign < 0 {
		amount = min(amount, w.rc.balances[player]["GEM"])
	}
	w.rc.give(player, economy.Amounts{"GEM": sign * amount})
}

// mirror refreshes our copy of a player's balances, as the wallet does.
func (w *world) mirror() {
	player := players[w.random.IntN(len(players))]
	w.spawn("wallet of "+player, nil, func() {
		if reading, err := w.rc.Balances(context.Background(), player); err == nil {
			w.db.keepReading(player, reading.Balances, reading.StartedAt)
			w.say("the mirror keeps %s: %v", reading.Balances, w.db.balances)
		}
	})
}

// hold is an operator who holds back a spend that waits, or lets one go.
func (w *world) hold() {
	for _, s := range w.db.spends {
		if s.State == economy.Requested && s.AdjustmentID == "" && w.random.IntN(2) == 0 {
			s.Held, s.passed = !s.Held, true
			w.say("%s held: %t", s.ID, s.Held)
			return
		}
	}
}

// factsOf returns what is published of a spend that has come to a state.
func factsOf(spend economy.Spend, state economy.State, at time.Time) []events.Event {
	switch state {
	case economy.Requested:
		return []events.Event{events.NewSpendRequested(spend.ID, spend.AppUserID, at)}
	case economy.Charged:
		return []events.Event{events.NewSpendCharged(spend.ID, spend.AppUserID, at)}
	case economy.Refunding:
		return []events.Event{events.NewSpendRefunding(spend.ID, spend.AppUserID, at)}
	case economy.Fulfilled, economy.Declined, economy.Refunded:
	}
	return nil
}
