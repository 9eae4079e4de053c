package simulation

import (
	"slices"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// row does what the steps of a kind do in SQL whose rows follow from a guard.
func (tx *transaction) row(kind string, row values) {
	switch kind {
	case "spend_follow":
		if s := tx.spend(row["id"]); s != nil {
			tx.checkFollow(s, row)
			tx.setMoved(s, row)
		}
	case "adjustment_unbind":
		tx.unbind(row["id"])
	case "ledger_entry":
		tx.enter(row)
	case "inventory_grant":
		spend, quantity := row["spend_id"], row.int("quantity")
		if _, granted := tx.grants[spend]; granted {
			tx.refuse("inventory_grants_pkey: %s", spend)
		}
		tx.undo = append(tx.undo, func() { delete(tx.grants, spend) })
		tx.grants[spend] = quantity
	case "inventory_taken":
		before := tx.taken[row["spend_id"]]
		tx.undo = append(tx.undo, func() { tx.taken[row["spend_id"]] = before })
		tx.taken[row["spend_id"]] = true
	case "operator_wake":
		if owed := tx.owed(row["event_id"], row["consumer"]); owed != nil && owed.published.IsZero() {
			change(tx, &owed.due, tx.now())
		}
	case "operator_act": // is read by people only
	case "item_release":
		tx.count([2]string{row["app_user_id"], row["item"]}, -row.int("quantity"))
	case "balance":
		key := [2]string{row["app_user_id"], row["currency"]}
		before, kept := tx.balances[key]
		next := keptBalance{economy.Amount(row.int("balance")), row.time("as_of")}
		if kept && !before.asOf.Before(next.asOf) {
			return
		}
		tx.undo = append(tx.undo, func() { tx.balances[key] = before })
		tx.balances[key] = next
	default:
		panic("teach the model the row " + kind)
	}
}

// unbind sets the spends of an adjustment free.
func (tx *transaction) unbind(adjustment string) {
	free := 0
	for _, s := range tx.spends {
		if s.AdjustmentID == adjustment && s.State == economy.Requested {
			tx.update("spend " + s.ID)
			change(tx, &s.AdjustmentID, "")
			change(tx, &s.UnknownSince, time.Time{})
			free++
		}
	}
	if free > 1 {
		tx.met("a refusal splits")
	}
}

// enter adds a line to the ledger, which has each kind of line of a spend once.
func (tx *transaction) enter(row values) {
	key := entryKey{row["spend_id"], row["kind"], row["currency"]}
	if _, entered := tx.ledger[key]; entered {
		tx.refuse("ledger_entries_pkey: %v", key)
	}
	entry := economy.Entry{
		SpendID: key.spend, AppUserID: row["app_user_id"], Kind: economy.EntryKind(key.kind), Currency: economy.Currency(key.currency),
		Debit: economy.Account(row["debit"]), Credit: economy.Account(row["credit"]), Amount: economy.Amount(row.int("amount")),
	}
	if entry.Amount <= 0 {
		tx.refuse("ledger_entries_amount_check")
	}
	allowed := map[economy.EntryKind][2]economy.Account{
		economy.EntryCharge: {economy.Wallet, economy.InFlight}, economy.EntryFulfil: {economy.InFlight, economy.Sink},
		economy.EntryRefund: {economy.InFlight, economy.Wallet}, economy.EntryReclaim: {economy.Sink, economy.InFlight},
		economy.EntryKeep:  {economy.InFlight, economy.Sink},
		economy.EntryGrant: {economy.Issuance, economy.Wallet},
	}
	if allowed[entry.Kind] != [2]economy.Account{entry.Debit, entry.Credit} {
		tx.refuse("ledger_entries_kind_check: %v", entry)
	}
	if entry.Kind == economy.EntryGrant {
		tx.met("a grant is given")
	}
	tx.undo = append(tx.undo, func() { delete(tx.ledger, key) })
	tx.ledger[key] = entry
	change(tx, &tx.lines, append(slices.Clone(tx.lines), entry))
}
