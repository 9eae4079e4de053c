package economy

import (
	"errors"
	"fmt"
	"time"
)

// Movement is a change of balances that the provider made by itself: currency that
// came with a purchase, went with a refund, or was edited in its dashboard. Our own
// adjustments should never be among them (RevenueCat docs: changes through the API
// send no event).
type Movement struct {
	ID            string // virtual_currency_transaction_id
	AppUserID     string
	Environment   Environment // of the purchase; the balance is one for both
	Source        string      // in_app_purchase, admin_api, ...: an open set
	Store         Store       // empty when no purchase caused it
	ProductID     string
	TransactionID string
	Adjustments   Amounts // signed
	Balance       *Amount // the balance afterwards, where the event says so and moved one currency
	At            time.Time
	// AdjustmentID names the adjustment of ours that the movement tells again, as far
	// as one can know; empty: none. Such a movement moves nothing in our ledger.
	AdjustmentID string `json:",omitempty"`
}

// PurchaseSource is the source of movements that a store's purchase caused.
const PurchaseSource = "in_app_purchase"

// The kinds of ledger lines that movements make.
const (
	EntryStoreCredit     EntryKind = "store_credit"     // store -> wallet: bought with money
	EntryStoreRemoval    EntryKind = "store_removal"    // wallet -> store: refunded or expired
	EntryProviderCredit  EntryKind = "provider_credit"  // issuance -> wallet: given in the dashboard, for watching an ad
	EntryProviderRemoval EntryKind = "provider_removal" // wallet -> issuance: taken in the dashboard
	EntryOwnSeen         EntryKind = "own_seen"         // wallet -> wallet: ours, and in the ledger since it was settled
)

// MoneyAccount is the account that purchased currency comes from.
const MoneyAccount Account = "store"

// MovementEntry is a ledger line of a movement: one per movement and currency.
type MovementEntry struct {
	Movement      Movement
	Kind          EntryKind
	Debit, Credit Account
	Currency      Currency
	Amount        Amount // more than zero
}

// Entries returns the ledger lines of the movement, in the order of currencies. An
// adjustment of 0 makes none.
func (m Movement) Entries() []MovementEntry {
	var out []MovementEntry
	for _, currency := range m.Adjustments.Currencies() {
		amount := m.Adjustments[currency]
		entry := MovementEntry{Movement: m, Currency: currency, Amount: amount, Debit: Issuance, Credit: Wallet, Kind: EntryProviderCredit}
		if m.Source == PurchaseSource {
			entry.Debit, entry.Kind = MoneyAccount, EntryStoreCredit
		}
		if amount < 0 {
			entry.Debit, entry.Credit, entry.Amount = entry.Credit, entry.Debit, -amount
			if entry.Kind = EntryProviderRemoval; m.Source == PurchaseSource {
				entry.Kind = EntryStoreRemoval
			}
		}
		if m.AdjustmentID != "" {
			entry.Debit, entry.Credit, entry.Kind = Wallet, Wallet, EntryOwnSeen
		}
		if amount != 0 {
			out = append(out, entry)
		}
	}
	return out
}

// Validate says why a movement cannot be written down.
func (m Movement) Validate() error {
	if m.ID == "" || len(m.ID) > transactionIDMax || m.AppUserID == "" || m.At.IsZero() {
		return errors.New("movement: id, app user id or time is missing or too long")
	}
	for _, currency := range m.Adjustments.Currencies() {
		if err := currency.Validate(); err != nil {
			return fmt.Errorf("movement %s: %w", m.ID, err)
		}
		if amount := m.Adjustments[currency]; amount < -BalanceMax || amount > BalanceMax {
			return fmt.Errorf("movement %s: %d %s: %w", m.ID, amount, currency, ErrAmountRange)
		}
	}
	return nil
}
