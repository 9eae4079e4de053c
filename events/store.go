package events

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// The facts of the purchase side.
const (
	StoreWebhookReceivedV1    Type = "store.webhook.received.v1"    // the provider told of a purchase or of a customer
	StoreCurrencyMovedV1      Type = "store.currency.moved.v1"      // the provider moved a balance by itself
	StorePurchaseChangedV1    Type = "store.purchase.changed.v1"    // what is known of a purchase is other than before
	StorePurchaseChangedV2    Type = "store.purchase.changed.v2"    // the same of several purchases of one player
	StoreCustomerChangedV1    Type = "store.customer.changed.v1"    // ids were linked, or purchases transferred
	CustomerResyncRequestedV1 Type = "customer.resync.requested.v1" // read this customer from the provider again
)

// StoreWebhookReceived says that a webhook lies in webhook_events.
type StoreWebhookReceived struct {
	WebhookID string `json:"webhook_id"`
}

// StoreCurrencyMoved says that a webhook about balances lies in webhook_events.
type StoreCurrencyMoved struct {
	WebhookID string `json:"webhook_id"`
}

// StorePurchaseChanged names a purchase and the version it has now.
type StorePurchaseChanged struct {
	Store         economy.Store       `json:"store"`
	Environment   economy.Environment `json:"environment"`
	TransactionID string              `json:"transaction_id"`
	Version       int64               `json:"version"`
}

// Key returns the purchase's key.
func (p StorePurchaseChanged) Key() economy.PurchaseKey {
	return economy.PurchaseKey{Store: p.Store, Environment: p.Environment, TransactionID: p.TransactionID}
}

// StorePurchasesChanged names purchases of one player in one store, and the version each
// has now.
type StorePurchasesChanged struct {
	Store        economy.Store       `json:"store"`
	Environment  economy.Environment `json:"environment"`
	Transactions map[string]int64    `json:"transactions"`     // versions by transaction
	Linked       bool                `json:"linked,omitempty"` // the player was linked to other ids, too: it stands for StoreCustomerChanged
}

// Keys returns the purchases' keys, in no order.
func (p StorePurchasesChanged) Keys() []economy.PurchaseKey {
	keys := make([]economy.PurchaseKey, 0, len(p.Transactions))
	for id := range p.Transactions {
		keys = append(keys, economy.PurchaseKey{Store: p.Store, Environment: p.Environment, TransactionID: id})
	}
	return keys
}

// StoreCustomerChanged says why the envelope's player is to be folded again.
type StoreCustomerChanged struct {
	Reason CustomerChange `json:"reason"`
	Cause  string         `json:"cause"` // what said so: an event's id, a file
}

// CustomerChange is what happened to a customer.
type CustomerChange string

// The changes.
const (
	CustomerAliased     CustomerChange = "aliased"
	CustomerTransferred CustomerChange = "transferred"
	CustomerOwnership   CustomerChange = "ownership" // a purchase came or went without a transfer
	CustomerCatalogue   CustomerChange = "catalogue" // a new catalogue has a product that was bought before
)

// CustomerResyncRequested says why the envelope's player is to be read from the
// provider again.
type CustomerResyncRequested struct {
	Reason ResyncReason `json:"reason"`
	Cause  string       `json:"cause"` // the event, claim or request that asks for it
}

// ResyncReason is why a customer is read again.
type ResyncReason string

// The reasons.
const (
	ResyncTransfer  ResyncReason = "transfer"  // a transfer names no transactions
	ResyncTemporary ResyncReason = "temporary" // a temporary grant, or a redemption: details come later
	ResyncClaim     ResyncReason = "claim"     // the app says it bought something and no webhook came
	ResyncRestore   ResyncReason = "restore"   // the player asked
	ResyncSilence   ResyncReason = "silence"   // no webhooks came for too long
	ResyncOperator  ResyncReason = "operator"  // sluice resync
	ResyncList      ResyncReason = "list"      // a customer list tells what we do not know
)

// NewStoreWebhookReceived returns the fact of a webhook just stored.
func NewStoreWebhookReceived(webhookID, appUserID string, at time.Time) Event {
	return newEvent(StoreWebhookReceivedV1, Store, webhookID+".received", appUserID, at, StoreWebhookReceived{webhookID})
}

// NewStoreCurrencyMoved returns the fact of a webhook about balances just stored.
func NewStoreCurrencyMoved(webhookID, appUserID string, at time.Time) Event {
	return newEvent(StoreCurrencyMovedV1, Store, webhookID+".moved", appUserID, at, StoreCurrencyMoved{webhookID})
}

// NewStorePurchaseChanged returns the fact that a purchase reached a version. lane
// is Bulk for what a backfill brings, Store otherwise.
func NewStorePurchaseChanged(lane Lane, key economy.PurchaseKey, version int64, appUserID string, at time.Time) Event {
	// Written by hand: webhooks come in bursts.
	data := appendString([]byte(`{"store":`), string(key.Store))
	data = appendString(append(data, `,"environment":`...), string(key.Environment))
	data = appendString(append(data, `,"transaction_id":`...), key.TransactionID)
	data = append(strconv.AppendInt(append(data, `,"version":`...), version, 10), '}')
	return Event{ID: PurchaseChangedID(key, version), Type: StorePurchaseChangedV1, Lane: lane, AppUserID: appUserID, Time: at, Data: data}
}

// PurchaseChangedID derives the id of the fact that a purchase reached a version.
func PurchaseChangedID(key economy.PurchaseKey, version int64) string {
	return key.ID() + ".v" + strconv.FormatInt(version, 10) + ".changed"
}

// Version is a transaction and the version its purchase has now.
type Version struct {
	TransactionID string
	Version       int64
}

// NewStorePurchasesChanged returns the fact that purchases of one player in one store
// reached versions. It stands for NewStorePurchaseChanged of each: who folds a customer
// folds all its purchases at once. list is in the order of the transactions, each once.
// linked says that the player was linked to other ids in the same commit.
//
// id is of no other event. It need not tell what the event says, since the commit that
// brought the purchases there happens once; ids that grow are cheaper to write down.
func NewStorePurchasesChanged(id string, lane Lane, store economy.Store, environment economy.Environment, list []Version, linked bool, appUserID string, at time.Time) Event {
	// Written by hand: a backfill names a million of them.
	data := appendString(append(make([]byte, 0, 80+32*len(list)), `{"store":`...), string(store))
	data = appendString(append(data, `,"environment":`...), string(environment))
	data = append(data, `,"transactions":{`...)
	for i, v := range list {
		if i > 0 {
			data = append(data, ',')
		}
		data = strconv.AppendInt(append(appendString(data, v.TransactionID), ':'), v.Version, 10)
	}
	data = append(data, '}')
	if linked {
		data = append(data, `,"linked":true`...)
	}
	data = append(data, '}')
	return Event{
		ID: id + ".changed", Type: StorePurchaseChangedV2, Lane: lane, AppUserID: appUserID, Time: at, Data: data,
	}
}

// NewStoreCustomerChanged returns the fact that a player's customer is to be folded again.
func NewStoreCustomerChanged(lane Lane, reason CustomerChange, cause, appUserID string, at time.Time) Event {
	return newEvent(StoreCustomerChangedV1, lane, economy.HashID(string(reason), cause, appUserID)+".customer", appUserID, at,
		StoreCustomerChanged{reason, cause})
}

// NewCustomerResyncRequested returns the wish to read a player's customer again. The
// same reason and cause for the same player is the same wish.
func NewCustomerResyncRequested(lane Lane, reason ResyncReason, cause, appUserID string, at time.Time) Event {
	return newEvent(CustomerResyncRequestedV1, lane, economy.HashID(string(reason), cause, appUserID)+".resync", appUserID, at,
		CustomerResyncRequested{reason, cause})
}

func newEvent(t Type, lane Lane, id, appUserID string, at time.Time, payload any) Event {
	data, err := json.Marshal(payload)
	if err != nil { // structs of strings and integers always encode
		panic(err)
	}
	return Event{ID: id, Type: t, Lane: lane, AppUserID: appUserID, Time: at, Data: data}
}

// DataOf reads an event's payload. Errors wrap ErrMalformed. Unknown members are
// ignored, missing ones are zero.
func DataOf[T any](e Event) (T, error) {
	var data T
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return data, fmt.Errorf("event %s: %w: %w", e.ID, ErrMalformed, err)
	}
	return data, nil
}
