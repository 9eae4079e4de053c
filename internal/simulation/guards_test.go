package simulation

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/adjustments"
	"github.com/sluice-gems/sluice/outbox"
)

// guard does what the steps of a guard's kind do in SQL and reports whether it won.
func (tx *transaction) guard(kind string, row values) (won bool) {
	switch kind {
	case "spend_accept":
		return tx.accept(row)
	case "spend_move":
		return tx.move(row)
	case "spend_settle_hand_over":
		return tx.settleHandOver(row)
	case "adjustment_bind":
		return tx.bind(row)
	case "adjustment_lease":
		return tx.lease(row)
	case "adjustment_attempted":
		return tx.attempted(row)
	case "adjustment_settled":
		return tx.settled(row)
	case "outbox_finish":
		return tx.deleteOwed(row["event_id"], row["consumer"])
	case "outbox_park":
		return tx.park(row)
	case "outbox_dead_letter":
		return tx.deadLetter(row)
	case "outbox_failed":
		return tx.owed(row["event_id"], row["consumer"]) != nil
	case "operator_hold":
		return tx.holds(row)
	case "operator_cancel":
		return tx.cancels(row)
	case "operator_refund":
		return tx.reclaims(row)
	case "operator_give_up":
		return tx.givesUp(row)
	case "spend_ask_revoke":
		return tx.asksRevoke(row)
	}
	panic("teach the model the guard " + kind)
}

// judge does what a guard's Judge does.
func (tx *transaction) judge(kind string, row values) outbox.Result {
	applied := false
	switch kind {
	case "spend_accept":
		before := tx.byPlayerKey(row["app_user_id"], row["idempotency_key"])
		if before != nil && before.ID != row["id"] {
			return outbox.Duplicate
		}
		applied = before != nil
	case "spend_move", "spend_settle_hand_over", "operator_hold", "operator_cancel", "operator_refund", "operator_give_up", "spend_ask_revoke":
		s := tx.spend(row["id"])
		applied = s != nil && s.change == row["change_id"]
	case "adjustment_bind":
		a := tx.adjustment(row["id"])
		applied = a != nil && a.change == row["change_id"] && a.state == stateOpen
	case "adjustment_lease", "adjustment_attempted", "adjustment_settled":
		a := tx.adjustment(row["id"])
		applied = a != nil && a.change == row["change_id"]
	case "outbox_finish", "outbox_dead_letter":
		return outbox.Duplicate
	}
	if applied {
		return outbox.Applied
	}
	return outbox.Stale
}

func (tx *transaction) byPlayerKey(player, key string) *spendRow {
	for _, s := range tx.spends {
		if s.AppUserID == player && s.IdempotencyKey == key {
			return s
		}
	}
	return nil
}

func (tx *transaction) accept(row values) bool {
	limit, quantity := row.int("player_limit"), row.int("quantity")
	counter := [2]string{row["app_user_id"], row["item"]}
	if limit > 0 && tx.used[counter]+quantity > limit {
		return false
	}
	if tx.byPlayerKey(row["app_user_id"], row["idempotency_key"]) != nil || !tx.room(row) {
		return false
	}
	s := &spendRow{change: row["change_id"], Spend: economy.Spend{
		ID: row["id"], Kind: kindNamed(row["kind"]), Note: row["note"],
		AppUserID: row["app_user_id"], IdempotencyKey: row["idempotency_key"], Item: row["item"], Quantity: quantity,
		Cost: row.amounts("cost"), CatalogVersion: row.int("catalog_version"), State: economy.Requested,
		AcceptedAt: row.time("accepted_at"), Limited: limit > 0,
	}}
	change(tx, &tx.spends, append(slices.Clone(tx.spends), s))
	if limit > 0 {
		tx.count(counter, quantity)
	}
	return true
}

// room reports whether the player may have one more open spend.
func (tx *transaction) room(row values) bool {
	most, open := row.int("open_max"), int64(0)
	for _, s := range tx.spends {
		if s.AppUserID == row["app_user_id"] && !s.State.Final() {
			open++
		}
	}
	return most == 0 || open < most
}

func kindNamed(name string) economy.Kind {
	for _, kind := range economy.Kinds {
		if kind.String() == name {
			return kind
		}
	}
	panic(refusal{fmt.Errorf("spends_state_check: %s", name)})
}

func (tx *transaction) count(counter [2]string, quantity int64) {
	before := tx.used[counter]
	if before+quantity < 0 {
		tx.refuse("item_counters_used_check")
	}
	tx.undo = append(tx.undo, func() { tx.used[counter] = before })
	tx.used[counter] = before + quantity
}

func (tx *transaction) move(row values) bool {
	s := tx.spend(row["id"])
	if s == nil || (string(s.State) != row["from_state"] && !tx.wrong.moveUnguarded) {
		return false
	}
	tx.setMoved(s, row)
	return true
}

func (tx *transaction) settleHandOver(row values) bool {
	s := tx.spend(row["id"])
	if s == nil || !s.RevokedAt.IsZero() || !tx.move(row) {
		return false
	}
	change(tx, &s.Held, s.Held && s.State != economy.Fulfilled)
	change(tx, &s.RevokedAt, row.time("revoked_at"))
	if row["note"] != "" {
		change(tx, &s.Note, row["note"])
	}
	tx.checkRevoked(s)
	return true
}

// checkRevoked is the CHECK that what was taken back is given back.
func (tx *transaction) checkRevoked(s *spendRow) {
	if !s.RevokedAt.IsZero() && s.State != economy.Refunding && s.State != economy.Refunded {
		tx.refuse("spends_revoked_is_given_back_check: %s", s.ID)
	}
}

// setMoved does what setMoved in books/move.go does, with the CHECKs of the table.
func (tx *transaction) setMoved(s *spendRow, row values) {
	tx.update("spend " + s.ID)
	before, next := s.State, economy.State(row["state"])
	if before != next {
		change(tx, &s.left, before)
	}
	change(tx, &s.State, next)
	change(tx, &s.Reason, economy.Reason(row["reason"]))
	change(tx, &s.NeedsOperator, row["needs_operator"])
	change(tx, &s.UnknownSince, row.time(""))
	change(tx, &s.ChargedAt, row.time("charged_at"))
	change(tx, &s.FinishedAt, row.time("finished_at"))
	change(tx, &s.change, row["change_id"])
	if !(s.left == "" && s.State == economy.Requested) && !economy.CanMove(s.Kind, s.left, s.State) {
		tx.refuse("spends_state_check: %s from %q to %q", s.ID, s.left, s.State)
	}
	if s.State != economy.Requested && s.State != economy.Declined && s.AdjustmentID == "" {
		tx.refuse("spends_charged_is_bound_check: %s", s.ID)
	}
	if s.FinishedAt.IsZero() == s.State.Final() {
		tx.refuse("spends_finished_check: %s is %s, finished at %s", s.ID, s.State, s.FinishedAt)
	}
	tx.checkRevoked(s)
	if before == economy.Fulfilled && next != before {
		tx.broken("%s left fulfilled without an operator", s.ID)
	}
}

func (tx *transaction) bind(row values) bool {
	var bound []*spendRow
	for _, id := range list(row["spends"]) {
		s := tx.spend(id)
		free := s != nil && (row["purpose"] == "refund" || s.AdjustmentID == "" || tx.wrong.bindBound)
		if !free || string(s.State) != row["state"] || s.Held {
			return false
		}
		bound = append(bound, s)
	}
	for _, id := range list(row["beside"]) {
		if s := tx.spend(id); !tx.wrong.besideUnseen && (s == nil || s.AdjustmentID != "" || string(s.State) != row["state"] || s.Held) {
			return false
		}
	}
	player := row["app_user_id"]
	if tx.wrong.asideBlocks && slices.ContainsFunc(tx.adjustments, func(a *adjustmentRow) bool { return a.AppUserID == player && a.unresolved() }) {
		return false
	}
	if tx.adjustment(row["id"]) != nil || tx.byKey(row["idempotency_key"]) != nil || (tx.openOf(player) != nil && !tx.wrong.manyOpen) {
		return false // ON CONFLICT DO NOTHING
	}
	a := &adjustmentRow{
		state: stateOpen, leasedUntil: tx.now().Add(row.millis("lease_ms")), change: row["change_id"], spends: bound,
		Adjustment: adjustments.Adjustment{
			ID: row["id"], AppUserID: player, Purpose: adjustments.Purpose(row["purpose"]), SpendID: row["spend_id"],
			IdempotencyKey: row["idempotency_key"], Body: row["body"], Deltas: row.amounts("deltas"), Attempts: 1, LeasedBy: row["leased_by"],
			OpenedAt: row.time("opened_at"),
		},
	}
	if (a.Purpose == adjustments.Refund) != (a.SpendID != "") {
		tx.refuse("adjustments_refund_has_spend_check")
	}
	change(tx, &tx.adjustments, append(slices.Clone(tx.adjustments), a))
	if len(bound) > 1 {
		tx.met("several spends are charged together")
	}
	if a.Purpose != adjustments.Refund {
		for _, s := range bound {
			tx.update("spend " + s.ID)
			change(tx, &s.AdjustmentID, a.ID)
		}
	}
	return true
}

func (tx *transaction) lease(row values) bool {
	a := tx.adjustment(row["id"])
	if a == nil || !a.unresolved() || a.Attempts != row.int("attempt")-1 {
		return false
	}
	if len(a.spends) > 1 && a.LeasedBy != row["leased_by"] {
		tx.met("several spends are adopted")
	}
	if a.LeasedBy != "" && a.LeasedBy != row["leased_by"] && !a.leasedUntil.Before(tx.now()) {
		return false
	}
	change(tx, &a.LeasedBy, row["leased_by"])
	change(tx, &a.leasedUntil, tx.now().Add(row.millis("lease_ms")))
	change(tx, &a.Attempts, row.int("attempt"))
	change(tx, &a.change, row["change_id"])
	return true
}

func (tx *transaction) attempted(row values) bool {
	a := tx.adjustment(row["id"])
	if a == nil || !a.unresolved() || a.Attempts != row.int("attempt") {
		return false
	}
	change(tx, &a.LeasedBy, "")
	change(tx, &a.leasedUntil, tx.now())
	change(tx, &a.change, row["change_id"])
	if a.UnknownSince.IsZero() {
		change(tx, &a.UnknownSince, row.time("unknown_since"))
	}
	aside := isTrue(row["aside"])
	if aside {
		change(tx, &a.state, stateUnknown)
		if a.UnknownSince.IsZero() {
			tx.refuse("adjustments_unknown_has_since_check")
		}
	}
	for _, s := range tx.spends {
		charges := s.AdjustmentID == a.ID && s.State == economy.Requested
		refunds := s.ID == a.SpendID && s.State == economy.Refunding
		if charges && aside {
			s.passed = true
		}
		if (charges || refunds) && !s.UnknownSince.Equal(a.UnknownSince) {
			tx.update("spend " + s.ID)
			change(tx, &s.UnknownSince, a.UnknownSince)
		}
	}
	if aside {
		tx.met("an adjustment steps aside")
		if tx.wrong.asideSetsFree {
			change(tx, &a.state, string(economy.Refused))
			tx.unbind(a.ID)
		}
	}
	return true
}

func (tx *transaction) settled(row values) bool {
	a := tx.adjustment(row["id"])
	if a == nil || (!a.unresolved() && !tx.wrong.settleUnguarded) {
		return false
	}
	fenced := row["state"] != string(economy.Applied) || isTrue(row["concluded"])
	if fenced && a.Attempts != row.int("attempt") && !tx.wrong.settleUnfenced {
		return false
	}
	if (row["state"] == stateOpen || row["state"] == stateUnknown) != (row["settled_at"] == "") {
		tx.refuse("adjustments_settled_check")
	}
	if a.state == stateUnknown {
		tx.met("what stepped aside is settled: " + row["state"])
	}
	if strings.Contains(row["last_error"], "a reading of the balance") {
		tx.met("settled by a reading: " + row["state"])
	}
	change(tx, &a.state, row["state"])
	change(tx, &a.settledAt, row.time("settled_at"))
	change(tx, &a.answered, row.time("answered_as_of"))
	change(tx, &a.change, row["change_id"])
	return true
}

func isTrue(literal string) bool { return literal == "true" }

func (tx *transaction) park(row values) bool {
	owed := tx.owed(row["event_id"], row["consumer"])
	if owed == nil {
		return false
	}
	attempts := row.int("attempts")
	if attempts > math.MaxInt32 {
		tx.refuse("integer out of range")
	}
	if made := tx.handOuts[outbox.Delivery{EventID: owed.event, Consumer: owed.consumer}]; attempts > made*(made+1) {
		tx.broken("%s has %d attempts on record, %d were made", owed.event, attempts, made)
	}
	change(tx, &owed.due, tx.now().Add(row.millis("wait_ms")))
	change(tx, &owed.published, row.time(""))
	change(tx, &owed.attempts, attempts)
	return true
}

func (tx *transaction) deadLetter(row values) bool {
	tx.deleteOwed(row["event_id"], row["consumer"])
	name := row["event_id"] + " of " + row["consumer"]
	if slices.Contains(tx.dead, name) {
		return true // open again
	}
	tx.broken("dead letter: %s: %s", name, row["error"])
	change(tx, &tx.dead, append(slices.Clone(tx.dead), name))
	return true
}
