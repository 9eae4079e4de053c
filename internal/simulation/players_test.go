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
	"limited": {ID: "limited", Price: economy.Amounts{"GEM": 20}, PlayerLimit: 2, HandOver: inventory},
}}

var (
	inventory = economy.HandOver{Port: economy.HandOverInventory}
	items     = []string{"sword", "sword", "bundle", "ticket", "ticket", "limited"}
	players   = []string{"anna", "ben"}
)

// request is one thing a player's app asks for, as often as it must.
type request struct{ player, item, key string }

// plan decides what the players have and what they want.
func (w *world) plan() {
	for i, player := range players[:1+w.random.IntN(len(players))] {
		w.rc.give(player, economy.Amounts{"GEM": economy.Amount(w.random.IntN(160)), "GOLD": economy.Amount(w.random.IntN(4))})
		for n := range 1 + w.random.IntN(5-2*i) {
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
	return committer{w}.Commit(context.Background(), outbox.Effects{
		Guard:  books.Accept{Spend: spend, PlayerLimit: item.PlayerLimit},
		Events: []events.Event{events.NewSpendRequested(id, r.player, now)},
		Owner:  r.player, Intake: true,
	})
}

// topUp is a purchase in the store.
func (w *world) topUp() {
	w.rc.give(players[w.random.IntN(len(players))], economy.Amounts{"GEM": economy.Amount(10 + w.random.IntN(90))})
}

// hold is an operator who holds back a spend that waits, or lets one go.
func (w *world) hold() {
	for _, s := range w.db.spends {
		if s.State == economy.Requested && s.AdjustmentID == "" && w.random.IntN(2) == 0 {
			s.Held, s.wasHeld = !s.Held, true
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
