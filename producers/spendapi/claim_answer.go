package spendapi

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// claimTold is a claim as the app sees it.
type claimTold struct {
	ID            string             `json:"id"`
	State         economy.ClaimState `json:"state"`
	Store         economy.Store      `json:"store"`
	TransactionID string             `json:"transaction_id"`
	ProductID     string             `json:"product_id"`
	Reason        string             `json:"reason,omitempty"`
	ClaimedAt     time.Time          `json:"claimed_at"`
	SettledAt     time.Time          `json:"settled_at,omitzero"`
	Pending       *pendingTold       `json:"pending,omitempty"` // only while it is pending
}

// pendingTold is what a purchase would bring. None of it can be spent or used.
type pendingTold struct {
	Credits  economy.Amounts `json:"credits"`
	Accesses []accessPending `json:"accesses"`
	Items    []itemPending   `json:"items"`
}

type accessPending struct {
	Module string `json:"module"`
	Lasts  string `json:"lasts"` // period, forever, or a time such as 30d
}

type itemPending struct {
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"`
}

// tellClaim answers with how a claim stands, new or repeated alike.
//
//	pending                       202 {"claim":{...,"pending":{...}}}
//	confirmed                     200 {"claim":{...}}
//	rejected, unknown_purchase    404 purchase-unknown; a later word may still confirm it
//	rejected, belongs_to_another  403 purchase-of-another; a transfer may still bring it
//	rejected, refunded            403 purchase-refunded
func (a *API) tellClaim(x *exchange, claim economy.Claim) *problem {
	body, err := json.Marshal(a.claimTold(claim))
	if err != nil {
		return internal(err)
	}
	if claim.State == economy.ClaimRejected {
		p := rejected(claim)
		p.claim = body
		return p
	}
	status := http.StatusOK
	if claim.State == economy.ClaimPending {
		status = http.StatusAccepted
		x.Header().Set("Retry-After", seconds(claimRetry))
	}
	x.outcome = string(claim.State)
	x.send(status, typeJSON, append(append([]byte(`{"claim":`), body...), '}'))
	return nil
}

func rejected(claim economy.Claim) *problem {
	switch claim.Reason {
	case economy.ClaimOfAnother:
		return problemf(PurchaseOfAnother, "The purchase is another player's. If the store's account is this player's own, restore the purchases in the app: the provider then moves them.")
	case economy.ClaimRefunded:
		return problemf(PurchaseRefunded, "The purchase was refunded, so it brings nothing.")
	}
	return problemf(PurchaseUnknown, "The provider does not know the purchase. If it was made, have the app synchronise its purchases with the provider, and send POST /purchases/restore.")
}

func (a *API) claimTold(c economy.Claim) claimTold {
	told := claimTold{
		ID: c.ID, State: c.State, Store: c.Store, TransactionID: c.TransactionID, ProductID: c.ProductID, Reason: c.Reason,
		ClaimedAt: c.ClaimedAt, SettledAt: c.SettledAt,
	}
	if c.State != economy.ClaimPending {
		return told
	}
	// The current catalogue: a guess, until the purchase itself is bound to one.
	bundle, _ := a.catalog().PackageOf(c.Store, c.ProductID)
	told.Pending = &pendingTold{Credits: bundle.Credits, Accesses: []accessPending{}, Items: []itemPending{}}
	if bundle.Credits == nil {
		told.Pending.Credits = economy.Amounts{}
	}
	for _, access := range bundle.Accesses {
		told.Pending.Accesses = append(told.Pending.Accesses, accessPending{access.Module, access.Lasts.String()})
	}
	for _, item := range bundle.Items {
		told.Pending.Items = append(told.Pending.Items, itemPending{item.Item, item.Quantity})
	}
	return told
}
