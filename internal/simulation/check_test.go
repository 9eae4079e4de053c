package simulation

import (
	"slices"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/internal/revenuecat"
)

// checkAlways holds after every commit and every call, in the snapshot of that
// moment.
func (w *world) checkAlways() {
	for _, player := range players {
		w.checkConservation(player)
		w.checkProvider(player)
	}
	w.checkBound()
}

// checkBound: the spends of an adjustment are bound to it and to no other, and
// each of a charge that was applied has lines of its own that make up the whole.
func (w *world) checkBound() {
	for _, a := range w.db.adjustments {
		if a.Purpose != adjustments.Charge || (!a.unresolved() && a.state != string(economy.Applied)) {
			continue
		}
		charged := economy.Amounts{}
		for _, s := range a.spends {
			if s.AdjustmentID != a.ID || a.unresolved() != (s.State == economy.Requested) {
				w.broken("%s is %s and bound to %q, while %s is %s", s.ID, s.State, s.AdjustmentID, a.ID, a.state)
			}
			for currency := range s.Cost {
				charged = charged.Plus(economy.Amounts{currency: w.db.ledger[entryKey{s.ID, string(economy.EntryCharge), string(currency)}].Amount})
			}
		}
		if want := a.Deltas.Negated(); !a.unresolved() && !charged.Equal(want) {
			w.broken("adjustment %s took %s, its spends have lines of %s", a.ID, want, charged)
		}
	}
}

// checkFollow: a step that follows from a settlement is made once, and a spend is
// declined for lack of funds only if it was accepted before the call that was
// refused and the balance at that moment did not cover it.
func (tx *transaction) checkFollow(s *spendRow, row values) {
	if tx.alone {
		return
	}
	if string(s.State) != row["from_state"] {
		tx.broken("%s: the step from %s to %s is made, and it is %s by now", s.ID, row["from_state"], row["state"], s.State)
	}
	if row["reason"] != string(economy.InsufficientFunds) {
		return
	}
	a := tx.adjustment(tx.by["id"])
	refusal, was := tx.rc.refusals[a.IdempotencyKey]
	covered := true
	for currency, cost := range s.Cost {
		covered = covered && refusal.held[currency] >= cost
	}
	switch {
	case !was || covered:
		tx.broken("%s is declined for %s, and the balance was %s", s.ID, s.Cost, refusal.held)
	case slices.Index(tx.spends, s) >= refusal.accepted:
		tx.broken("%s is declined on the evidence of a call that began before it was accepted", s.ID)
	case s.AdjustmentID != a.ID:
		tx.met("declined on evidence")
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

// checkProvider: a player has one open adjustment, and the provider's balance is
// what the ledger says but for the adjustments whose outcome we do not know and
// the provider does.
func (w *world) checkProvider(player string) {
	open := 0
	difference := w.rc.balances[player].Plus(w.rc.given[player].Negated()).Plus(w.wallet(player).Negated())
	for _, a := range w.db.adjustments {
		if a.AppUserID != player || !a.unresolved() {
			continue
		}
		if a.state == stateOpen {
			open++
		}
		if _, applied := w.rc.applied[a.IdempotencyKey]; applied {
			difference = difference.Plus(a.Deltas.Negated())
		}
	}
	if open > 1 {
		w.broken("%s has %d open adjustments", player, open)
	}
	if !difference.Equal(nil) {
		w.broken("the provider's balance of %s differs from our books by %s, and no unsettled adjustment accounts for that", player, difference)
	}
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
// the bytes were stored before, the spends are in the order they were accepted,
// and no spend accepted earlier still waits, but for those that may be passed.
func (w *world) checkApplied(r revenuecat.Request) {
	a := w.db.byKey(r.IdempotencyKey)
	if w.wrong.unlooked {
		return
	}
	if a == nil || a.Body != string(r.Body) {
		w.broken("key %s was applied and is not stored with that body", r.IdempotencyKey)
		return
	}
	if a.Purpose == adjustments.Refund {
		if s := w.db.spend(a.SpendID); byGame(s) && !w.game.revoked(s.ID) {
			w.broken("%s is given back, and the game has not revoked its item", s.ID)
		}
		return
	}
	next := 0 // of the adjustment's spends, which are met in order
	for _, s := range w.db.spends {
		switch {
		case next == len(a.spends):
			return
		case s == a.spends[next]:
			next++
		case s.AppUserID == a.AppUserID && s.State == economy.Requested && !s.passed:
			w.broken("order: %s is charged while %s, accepted before, still waits", a.spends[next].ID, s.ID)
			return
		}
	}
	if next < len(a.spends) {
		w.broken("order: the spends of %s are not in the order of their acceptance", a.ID)
	}
}

// checkStuck holds when only an operator has something left to do: what he must
// settle is shown to him, and a refund that needs him was truly not given.
func (w *world) checkStuck() {
	for _, s := range w.db.spends {
		_, given := w.rc.applied[s.ID+":refund"]
		switch {
		case s.State.Final():
		case s.NeedsOperator != "" && given:
			w.broken("%s was given back and needs an operator", s.ID)
		case s.NeedsOperator == "" && s.UnknownSince.IsZero():
			w.broken("%s is unknown and not shown as that", s.ID)
		}
	}
}

// byGame reports whether the game's own server hands over the item of a spend.
func byGame(s *spendRow) bool {
	return catalog.Items[s.Item].HandOver.Port == economy.HandOverHTTP
}

// checkGame: at rest a player has the item of the game's server exactly if it was
// paid for; nothing is free, and nobody who paid has nothing.
func (w *world) checkGame(s *spendRow) {
	if has := w.game.has(s.ID); byGame(s) && s.State.Final() && has != (s.State == economy.Fulfilled) {
		w.broken("%s is %s, and the player has its item: %t", s.ID, s.State, has)
	}
}

// checkEnd holds when everything has come to rest.
func (w *world) checkEnd() {
	fulfilled, refunded, charged := map[string]economy.Amounts{}, map[string]economy.Amounts{}, map[string]economy.Amounts{}
	gifts := map[string]economy.Amounts{}
	kept := map[string]economy.Amounts{} // refunds an operator said were not given: another way must be found
	for _, s := range w.db.spends {
		port := catalog.Items[s.Item].HandOver.Port
		_, granted := w.db.grants[s.ID]
		switch {
		case !s.State.Final() && s.NeedsOperator == "":
			w.broken("%s rests in %s", s.ID, s.State)
		case s.State == economy.Refunding:
			kept[s.AppUserID] = kept[s.AppUserID].Plus(s.Cost)
		case s.State == economy.Fulfilled && s.Kind == economy.KindGrant:
			gifts[s.AppUserID] = gifts[s.AppUserID].Plus(s.Cost)
		case s.State == economy.Fulfilled:
			fulfilled[s.AppUserID] = fulfilled[s.AppUserID].Plus(s.Cost)
		}
		if granted = granted && !w.db.taken[s.ID]; granted != (s.State == economy.Fulfilled && port == economy.HandOverInventory) {
			w.broken("%s is %s, item granted: %t", s.ID, s.State, granted)
		}
		w.checkGame(s)
		if (s.NeedsOperator != "" && s.State != economy.Refunding) || !s.UnknownSince.IsZero() {
			w.broken("%s is %s and still marked", s.ID, s.State)
		}
	}
	for _, line := range w.db.lines {
		switch line.Kind {
		case economy.EntryCharge:
			charged[line.AppUserID] = charged[line.AppUserID].Plus(economy.Amounts{line.Currency: line.Amount})
		case economy.EntryRefund:
			refunded[line.AppUserID] = refunded[line.AppUserID].Plus(economy.Amounts{line.Currency: line.Amount})
		default: // no charge and no refund
		}
	}
	for _, player := range players {
		if !charged[player].Equal(fulfilled[player].Plus(refunded[player]).Plus(kept[player])) {
			w.broken("%s: charged %s, fulfilled %s, refunded %s", player, charged[player], fulfilled[player], refunded[player])
		}
		if want := w.rc.given[player].Plus(gifts[player]).Plus(fulfilled[player].Negated()).Plus(kept[player].Negated()); !w.rc.balances[player].Equal(want) {
			w.broken("%s has %s at the provider, and should have %s", player, w.rc.balances[player], want)
		}
	}
	for _, p := range w.workers {
		if p.admitted != 0 {
			w.broken("%s holds %d calls that may start, and makes none", p.name(), p.admitted)
		}
	}
	if len(w.db.outbox) > 0 {
		w.broken("the outbox still owes %s to %s", w.db.outbox[0].event, w.db.outbox[0].consumer)
	}
	for _, a := range w.db.adjustments {
		if a.unresolved() {
			w.broken("adjustment %s is still %s", a.ID, a.state)
		}
	}
}
