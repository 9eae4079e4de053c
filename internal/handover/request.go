package handover

import (
	"encoding/json"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// Operation is what is asked of an endpoint.
type Operation string

// The operations.
const (
	OpGrant  Operation = "grant"
	OpCheck  Operation = "check"
	OpRevoke Operation = "revoke"
)

// request is the body of a request. The same operation for the same spend has the
// same bytes, whenever it is sent.
type request struct {
	Operation      Operation `json:"operation"`
	SpendID        string    `json:"spend_id"`
	AppUserID      string    `json:"app_user_id"`
	Item           string    `json:"item"`
	Quantity       int64     `json:"quantity"`
	CatalogVersion int64     `json:"catalog_version"`
	ChargedAt      time.Time `json:"charged_at"`
	Test           bool      `json:"test,omitempty"` // made by Verify: nobody paid for it
}

func newRequest(op Operation, s economy.Spend) request {
	return request{
		Operation: op, SpendID: s.ID, AppUserID: s.AppUserID, Item: s.Item, Quantity: s.Quantity,
		CatalogVersion: s.CatalogVersion, ChargedAt: s.ChargedAt.UTC(),
	}
}

// id is the message's id, which is also its idempotency key.
func (r request) id() string { return r.SpendID + ":" + string(r.Operation) }

func (r request) body() []byte {
	body, err := json.Marshal(r)
	if err != nil { // strings, numbers and a time that a row of ours held
		panic("handover: " + err.Error())
	}
	return body
}
