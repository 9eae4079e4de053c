package simulation

import (
	"strings"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// checkAlways holds after every commit and every call, in the snapshot of that
// moment.
func (w *world) checkAlways() {
	for _, player := range players {
		w.checkConservation(player)
		w.checkProvider(player)
	}
}

// checkConservation: what is in flight is exactly the cost of the spends between
// charge and end, and a limited item's counter is what is kept or under way.
func (w *world) checkConservation(player string) {
	inFlight := economy.Amounts{}
	for _, line := range w.db.lines {
		if line.AppUserID == player && line.Credit == economy.InFlight {
			inFlight[line.Currency] += line.Amount
		}
		if line.AppUserID == player && line.Debit == economy.InFlight {
			inFlight[line.Currency] -= line.Amount
		}
	}
	used := int64(0)
	for _, s := range w.db.spends {
		if s.AppUserID != player {
			continue
		}
		if s.State == economy.Charged || s.State == economy.Refunding {
			inFlight = inFlight.Plus(s.Cost.Negated())
		}
		if s.Limited && s.State != economy.Declined && s.State != economy.Refunded {
			used += s.Quantity
		}
	}
	if !inFlight.Equal(nil) {
		w.broken("conservation: the ledger of %s has %s in flight beyond the spends that are", player, inFlight)
	}
	if counted := w.db.used[[2]string{player, "limited"}]; counted != used {
		w.broken("%s has %d of the limited item, %d are counted", player, used, counted)
	}
}

// checkProvider: the provider's balance is what the ledger says, or differs by
// exactly the one open adjustment.
func (w *world) checkProvider(player string) {
	var open []*adjustmentRow
	for _, a := range w.db.adjustments {
		if a.AppUserID == player && a.state == stateOpen {
			open = append(open, a)
		}
	}
	if len(open) > 1 {
		w.broken("%s has %d open adjustments", player, len(open))
		return
	}
	difference := w.rc.balances[player].Plus(w.rc.given[player].Negated()).Plus(w.wallet(player).Negated())
	if difference.Equal(nil) || (len(open) == 1 && difference.Equal(open[0].Deltas)) {
		return
	}
	w.broken("the provider's balance of %s differs from our books by %s, and no open adjustment accounts for that", player, difference)
}

// wallet is what the ledger says our adjustments did to a player's balance.
func (w *world) wallet(player string) economy.Amounts {
	sum := economy.Amounts{}
	for _, line := range w.db.lines {
		switch {
		case line.AppUserID != player:
		case line.Credit == economy.Wallet:
			sum[line.Currency] += line.Amount
		case line.Debit == economy.Wallet:
			sum[line.Currency] -= line.Amount
		}
	}
	return sum
}

// checkApplied holds at the moment the provider changes a balance: the key and
// the bytes were stored before, and no spend accepted earlier still waits.
func (w *world) checkApplied(r revenuecat.Request) {
	a := w.db.byKey(r.IdempotencyKey)
	if w.wrong.unlooked {
		return
	}
	if a == nil || a.Body != string(r.Body) {
		w.broken("key %s was applied and is not stored with that body", r.IdempotencyKey)
		return
	}
	if !strings.HasSuffix(r.IdempotencyKey, ":charge") {
		return
	}
	for _, s := range w.db.spends {
		switch {
		case s == a.spends[0]:
			return
		case s.AppUserID == a.AppUserID && s.State == economy.Requested && !s.wasHeld:
			w.broken("order: %s is charged while %s, accepted before, still waits", a.spends[0].ID, s.ID)
			return
		}
	}
}

// checkEnd holds when everything has come to rest.
func (w *world) checkEnd() {
	fulfilled, refunded, charged := map[string]economy.Amounts{}, map[string]economy.Amounts{}, map[string]economy.Amounts{}
	for _, s := range w.db.spends {
		port := catalog.Items[s.Item].HandOver.Port
		_, granted := w.db.grants[s.ID]
		switch {
		case !s.State.Final():
			w.broken("%s rests in %s", s.ID, s.State)
		case s.State == economy.Fulfilled:
			fulfilled[s.AppUserID] = fulfilled[s.AppUserID].Plus(s.Cost)
		}
		if granted != (s.State == economy.Fulfilled && port == economy.HandOverInventory) {
			w.broken("%s is %s, item granted: %t", s.ID, s.State, granted)
		}
		if s.NeedsOperator != "" || !s.UnknownSince.IsZero() {
			w.broken("%s is %s and still marked", s.ID, s.State)
		}
	}
	for _, line := range w.db.lines {
		switch line.Kind {
		case economy.EntryCharge:
			charged[line.AppUserID] = charged[line.AppUserID].Plus(economy.Amounts{line.Currency: line.Amount})
		case economy.EntryRefund:
			refunded[line.AppUserID] = refunded[line.AppUserID].Plus(economy.Amounts{line.Currency: line.Amount})
		case economy.EntryFulfil, economy.EntryReclaim: // between our own accounts
		}
	}
	for _, player := range players {
		if !charged[player].Equal(fulfilled[player].Plus(refunded[player])) {
			w.broken("%s: charged %s, fulfilled %s, refunded %s", player, charged[player], fulfilled[player], refunded[player])
		}
		if want := w.rc.given[player].Plus(fulfilled[player].Negated()); !w.rc.balances[player].Equal(want) {
			w.broken("%s has %s at the provider, and should have %s", player, w.rc.balances[player], want)
		}
	}
	if len(w.db.outbox) > 0 {
		w.broken("the outbox still owes %s to %s", w.db.outbox[0].event, w.db.outbox[0].consumer)
	}
	for _, a := range w.db.adjustments {
		if a.state == stateOpen {
			w.broken("adjustment %s is still open", a.ID)
		}
	}
}
